"""A camera behind TLS must prove who it is; what it can't prove is said in words."""

from agent.ingest.session import StreamAddress
from agent.ingest.source import TlsTrust
from agent.ingest.wire.line import Line
from agent.messages.worker import CameraState
from agent.simulators.camera.media import load_media
from tests.camera_certificates import Authority
from tests.camera_zoo import CLOCK, CameraLoop, Visitor, ZooCamera, eventually, visits
from tests.footage_maker import make_clip


class TlsVisitor(Visitor):
    trust = TlsTrust()

    def _address(self):
        url = self.camera.url.replace("rtsp://", "rtsps://")
        return StreamAddress(url, *self.login, tls=self.trust)


def test_only_a_camera_that_proves_who_it_is_is_watched(tmp_path):
    media = {"": load_media(make_clip(tmp_path / "clip.mp4", size_px=(160, 120)))}
    city, stranger = Authority(tmp_path / "city"), Authority(tmp_path / "stranger")
    by_address, by_name = city.server("127.0.0.1"), city.server("gate.cameras.example")
    ours, theirs = str(city.ca_file), str(stranger.ca_file)
    cases = {
        "right": (by_address, TlsTrust(ours), None),
        "named otherwise": (by_name, TlsTrust(ours, host="gate.cameras.example"), None),
        "not verified, as was said": (by_address, TlsTrust(verify=False), None),
        "another authority": (by_address, TlsTrust(theirs), "not trusted"),
        "the system's authorities": (by_address, TlsTrust(), "not trusted"),
        "another host": (by_name, TlsTrust(ours), "mismatch"),
        "no such file": (by_address, TlsTrust(str(tmp_path / "none.pem")), "is not there"),
    }
    visitors = {}
    for name, (context, trust, _) in cases.items():
        visitor = TlsVisitor(ZooCamera(media, tls=context), tmp_path / name)
        visitor.trust = trust
        visitors[name] = visitor
    everyone = list(visitors.values())
    with CameraLoop([visitor.camera for visitor in everyone]), visits(everyone):
        began_s = CLOCK.monotonic_s()
        for name, (_, _, why) in cases.items():
            visitor = visitors[name]
            if why is None:
                eventually(lambda v=visitor: v.frames_since(began_s, 5), lambda n=name: n)
            else:
                eventually(lambda v=visitor: v.session.status.code is not None, lambda n=name: n)
                status = visitor.session.status
                assert (status.state, status.code) == (CameraState.LOST, "camera.tls"), name
                assert why in status.detail, name
                assert visitor.runs == [], name
        for name, is_key in (("right", False), ("not verified, as was said", True)):
            of, trust = visitors[name].camera.server, cases[name][1]
            line = Line("127.0.0.1", of.port, trust, CLOCK, 10.0)
            assert bool(line.shown().fingerprint) is is_key, name  # a vouched one may be renewed
            line.close()
    for visitor in everyone:
        visitor.tape.index.close()


def test_verification_is_on_unless_switched_off():
    assert TlsTrust().verify
