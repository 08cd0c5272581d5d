"""Random damage on eight streams at once, recorded and decoded: no crash, and none starves another.

Seeded, so that a failure can be repeated. `-m long` runs it for minutes.
"""

import random

import pytest
from av.error import FFmpegError

from agent.messages.worker import CameraState
from agent.simulators.camera.faults import Faults
from agent.simulators.camera.media import load_media
from agent.simulators.camera.wire_faults import WireFaults
from tests.camera_zoo import CLOCK, CameraLoop, Visitor, ZooCamera, eventually, pause, visits
from tests.footage_maker import make_clip

PACKET_FAULTS = (
    "loss",
    "twice",
    "swapped",
    "bad_payload",
    "bad_nal_header",
    "bad_rtp_header",
    "bad_frame_header",
    "cut_short",
)

CONFIRM_EVERY_S = 4.0  # longer than a connection needs to show its first frame


class Looker(Visitor):
    """Decodes every packet as well, as the eyes do."""

    frames_seen = packets_undecodable = 0
    confirmed_mono_s = 0.0

    def packet(self, packet, arrived_mono_s):
        try:
            self.frames_seen += len(packet.decode())
        except FFmpegError:
            self.packets_undecodable += 1
        super().packet(packet, arrived_mono_s)


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    how = {"size_px": (160, 120), "seconds": 2}
    return [
        {"": load_media(make_clip(folder / "h264.mp4", **how))},
        {"": load_media(make_clip(folder / "hevc.mp4", codec="libx265", **how))},
        {"": load_media(make_clip(folder / "b-frames.mp4", bframes=2, **how))},
    ]


@pytest.mark.parametrize(("seed", "rounds"), [(1, 8), pytest.param(2, 400, marks=pytest.mark.long)])
@pytest.mark.timeout(1800)
def test_eight_fuzzed_streams_end_nothing_and_starve_nobody(media, tmp_path, seed, rounds):
    dice = random.Random(seed)
    fuzzed = [
        Looker(ZooCamera(media[number % 3]), tmp_path / f"fuzzed-{number}") for number in range(8)
    ]
    well = [Looker(ZooCamera(media[number % 2]), tmp_path / f"well-{number}") for number in (0, 1)]
    everyone = fuzzed + well
    with CameraLoop([visitor.camera for visitor in everyone]), visits(everyone):
        for visitor in everyone:
            eventually(lambda v=visitor: v.frames_since(0.0, 5), lambda: "no first run")
        for _ in range(rounds):
            for visitor in fuzzed:
                spoil(visitor.camera.faults, dice)
            pause(1.0)
        healed_s = CLOCK.monotonic_s()
        for visitor in fuzzed:
            for name, value in WELL.items():
                setattr(visitor.camera.faults, name, value)
        for visitor in everyone:
            assert visitor.thread.is_alive()
            eventually(
                lambda v=visitor: is_back(v, healed_s),
                lambda v=visitor: f"{v.thread.name}: {v.session.status}",
            )
    for visitor in well:
        (run,) = visitor.runs
        assert len(run.steps) == 1
        assert visitor.packets_undecodable == 0
    for visitor in everyone:
        visitor.tape.index.close()


def is_back(visitor, healed_s):
    """A spoilt answer may have read as a refused login: then a person confirms the password.

    Not at every look: the word "refused" stands until frames come, and each confirmation
    begins the connection anew.
    """
    now_s = CLOCK.monotonic_s()
    refused = visitor.session.status.state is CameraState.AUTH_FAILED
    if refused and now_s - visitor.confirmed_mono_s > CONFIRM_EVERY_S:
        visitor.confirmed_mono_s = now_s
        visitor.session.restart()
    return visitor.frames_since(healed_s, 12)


WELL = {name: getattr(Faults(), name) for name in Faults.__struct_fields__}


def spoil(faults, dice):
    """Set two or three kinds of damage; now and then cut the line and spoil the answers."""
    for name, value in WELL.items():
        setattr(faults, name, value)
    for name in dice.sample(PACKET_FAULTS, 3):
        setattr(faults, name, dice.choice([0.02, 0.1, 0.5]))
    if dice.random() < 0.3:
        faults.disconnect, faults.mangle_answers = True, dice.choice([0.001, 0.01, 0.1])


def test_the_damage_is_the_same_for_the_same_seed(media):
    wire = b"".join(b"$\x00" + (12 + 40).to_bytes(2, "big") + bytes(52) for _ in range(100))
    spoiled = [
        WireFaults(Faults(bad_payload=0.5, cut_short=0.1, seed=7)).packets(wire) for _ in "ab"
    ]
    assert spoiled[0] == spoiled[1] != wire
