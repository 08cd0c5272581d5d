"""Live video reaches relays that others have made: RTMP and RTMPS, and RTSP RECORD."""

import contextlib
import uuid
from types import SimpleNamespace

import av
import pytest

from agent.app.sub_sink import SubSink
from agent.core.clock import SystemClock
from agent.messages.push import StartPush
from agent.push.live_tap import LiveTap
from agent.push.pushes import Pushes
from agent.simulators.camera.media import load_media
from tests.camera_thread import CameraThread, Notes, Watcher, eventually
from tests.certificates import write_certificate
from tests.footage_maker import make_clip
from tests.foreign import npm_rtmp_server
from tests.foreign_relays import GstRelay, RtmpServer

CLOCK = SystemClock()
CODECS = {"h264": "libx264", "h265": "libx265"}


@pytest.fixture(params=sorted(CODECS), scope="module")
def live(request, tmp_path_factory):
    """A camera's pushes, as its worker has them."""
    clip = tmp_path_factory.mktemp("media") / "clip.mp4"
    media = load_media(make_clip(clip, seconds=4, size_px=(320, 240), codec=CODECS[request.param]))
    tap, notes, told = LiveTap(), Notes(), []
    pushes = Pushes({"main": tap, "sub": tap}, told.append, lambda: True, CLOCK)
    with CameraThread(media) as camera, Watcher(camera.url, SubSink(notes, tap)):
        eventually(lambda: notes.runs and len(notes.runs[-1].times) > 5)
        yield SimpleNamespace(pushes=pushes, told=told, codec=request.param, notes=notes)
        pushes.close()


def start(live, url, push_id, token="", lasts_s=60.0, **fields):
    order = StartPush(
        push_id=push_id,
        stream="main",
        url=url,
        token=token,
        until_mono_s=CLOCK.monotonic_s() + lasts_s,
        **fields,
    )
    live.pushes.start(order)


def states(live, push_id):
    return [state for state in live.told if state.push_id == push_id]


def codes(live, push_id):
    return {state.code for state in states(live, push_id)}


@pytest.fixture
def once():
    """What marks the pushes of this try of a test: one that is run again shares `live` with it."""
    return uuid.uuid4().hex[:8]


def has_sent(live, push_id, packets=10):
    return any(state.packets_total >= packets for state in states(live, push_id))


def watched(url, count=10):
    """Decode what a player gets from the relay."""
    with av.open(url, timeout=(20, 20)) as player:
        frames = player.decode(video=0)
        return [next(frames) for _ in range(count)]


@pytest.fixture
def rtmp(request, tmp_path):
    ca = write_certificate(tmp_path, "ca")
    write_certificate(tmp_path, "relay", ca)
    certificate = tmp_path / "relay.pem", tmp_path / "relay.key"
    package = npm_rtmp_server(request)
    with RtmpServer(package, tmp_path / "server", certificate, wants_sign=True) as server:
        yield server


def test_an_rtmp_server_shows_what_was_pushed_to_who_bears_its_token(live, rtmp, tmp_path, once):
    name = f"gate-{once}"
    good, bad, stranger, safe = (f"{kind}-{once}" for kind in ("good", "bad", "stranger", "safe"))
    url = rtmp.url(name) + "?sign={token}"
    start(live, url, good, rtmp.sign(name))
    eventually(lambda: has_sent(live, good))
    frames = watched(rtmp.url(name))
    assert {(frame.width, frame.height) for frame in frames} == {(320, 240)}
    times = [frame.time for frame in frames]
    assert times == sorted(times)

    start(live, rtmp.url("other") + "?sign={token}", bad, "made-up")
    eventually(lambda: "push.refused" in codes(live, bad))
    assert not has_sent(live, bad, 1)
    live.pushes.stop(bad)

    secure = f"rtmps://localhost:{rtmp.tls_port}/live/{name}-s?sign={{token}}"
    start(live, secure, stranger, rtmp.sign(f"{name}-s"))
    eventually(lambda: "push.untrusted" in codes(live, stranger))
    live.pushes.stop(stranger)
    start(live, secure, safe, rtmp.sign(f"{name}-s"), ca=(tmp_path / "ca.pem").read_text())
    eventually(lambda: has_sent(live, safe))
    assert len(watched(rtmp.url(f"{name}-s"), 3)) == 3
    for push_id in (good, safe):
        live.pushes.stop(push_id)
        eventually(lambda push_id=push_id: states(live, push_id)[-1].ended)


def test_an_rtmp_server_that_goes_is_found_again_and_the_end_is_the_end(live, rtmp, once):
    name = f"again-{once}"
    start(live, rtmp.url(name) + "?sign={token}", name, rtmp.sign(name), lasts_s=1000)
    eventually(lambda: has_sent(live, name))
    rtmp.process.kill()
    rtmp.process.wait()
    eventually(lambda: {"push.lost", "push.unreachable"} & codes(live, name))
    with rtmp:
        eventually(lambda: states(live, name)[-1].code == "")
        connects = states(live, name)[-1].connects_total
        assert connects > 1
        start(live, rtmp.url(name) + "?sign={token}", name, rtmp.sign(name), lasts_s=0.0)
        eventually(lambda: states(live, name)[-1].ended)


def test_a_foreign_rtsp_server_records_what_was_pushed(live, tmp_path, once):
    push_id = f"gst-{once}"
    with GstRelay(tmp_path, live.codec) as relay:
        start(live, relay.url(), push_id)
        eventually(lambda: has_sent(live, push_id, 40))
        # the server decides when it writes what it has got
        eventually(lambda: len(recorded(relay.file)) > 10)
        live.pushes.stop(push_id)
        eventually(lambda: states(live, push_id)[-1].ended)
        frames = recorded(relay.file)
    assert frames[0].key_frame
    assert {(frame.width, frame.height) for frame in frames} == {(320, 240)}


def recorded(file):
    """Decode what a server has written so far."""
    frames = []
    with contextlib.suppress(av.FFmpegError), av.open(str(file)) as film:
        frames.extend(film.decode(video=0))
    return frames
