"""The simulated camera streams real video that a real client opens, logs in to and decodes."""

import asyncio
from contextlib import asynccontextmanager
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from agent.core.clock import SystemClock
from agent.simulators.camera.digest import Credentials
from agent.simulators.camera.faults import Faults
from agent.simulators.camera.live_stream import LiveStream
from agent.simulators.camera.media import load_media
from agent.simulators.camera.rtsp_server import RtspServer
from tests.footage_maker import make_clip

OPTIONS = {
    "rtsp_transport": "tcp",
    "timeout": "5000000",
    "analyzeduration": "0",
    "probesize": "32",
    "fpsprobesize": "0",
}


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return {
        "dark": load_media(make_clip(folder / "dark.mp4", fps=20, seconds=1)),
        "bright": load_media(make_clip(folder / "bright.mp4", fps=20, seconds=1, ground=160)),
        "small": load_media(make_clip(folder / "small.mp4", fps=5, size_px=(160, 160))),
        "hevc": load_media(make_clip(folder / "hevc.mp4", codec="libx265", size_px=(352, 288))),
    }


class Camera:
    """A running server and what a test may change about it."""

    def __init__(self, media):
        self.view = "dark"
        self.faults = Faults()
        clock = SystemClock()
        views = {"dark": media["dark"], "bright": media["bright"]}
        self.streams = {
            "main": LiveStream(views, lambda: self.view, clock, self.faults),
            "sub": LiveStream({"": media["small"]}, lambda: "", clock, self.faults),
            "hevc": LiveStream({"": media["hevc"]}, lambda: "", clock, self.faults),
        }
        self.server = RtspServer(
            self.streams,
            host="127.0.0.1",
            port=0,
            credentials=Credentials("admin", "geheim"),
            clock=clock,
            faults=self.faults,
        )

    def url(self, stream, password="geheim"):
        return f"rtsp://admin:{password}@127.0.0.1:{self.server.port}/{stream}"


@asynccontextmanager
async def running(media):
    camera = Camera(media)
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(camera.server.serve())
        await camera.server.listening.wait()
        try:
            yield camera
        finally:
            serving.cancel()


@pytest.fixture
async def camera(media):
    async with running(media) as camera:
        yield camera


def watch(url, count, timeout_s=10.0):
    """Decode `count` pictures; the thread that opens the container also closes it."""
    with av.open(url, options=OPTIONS, timeout=(timeout_s, timeout_s)) as container:
        stream = container.streams.video[0]
        facts = stream.codec_context.name, stream.width, stream.height
        frames = []
        for frame in container.decode(stream):
            frames.append((frame.pts, frame.time_base, frame.key_frame, frame.to_ndarray()))
            if len(frames) == count:
                break
    return facts, frames


def stamps_of(frames):
    """Return the time stamps; libav leaves the very first of an RTSP stream out (it is 0)."""
    return [frame[0] or 0 for frame in frames]


@pytest.mark.parametrize(
    ("stream", "facts"),
    [
        ("main", ("h264", 320, 240)),
        ("sub", ("h264", 160, 160)),
        ("hevc", ("hevc", 352, 288)),
    ],
)
async def test_a_client_with_the_password_sees_moving_pictures(camera, stream, facts):
    seen, frames = await asyncio.to_thread(watch, camera.url(stream), 4)
    assert seen == facts
    assert frames[0][2], "the first picture is a key picture"
    assert not np.array_equal(frames[0][3], frames[-1][3])


async def test_a_wrong_password_is_told_as_such(camera):
    with pytest.raises(av.error.HTTPUnauthorizedError):
        await asyncio.to_thread(watch, camera.url("main", "falsch"), 1)


async def test_an_unknown_stream_is_not_found(camera):
    with pytest.raises(av.error.HTTPNotFoundError):
        await asyncio.to_thread(watch, camera.url("third"), 1)


async def test_time_goes_on_over_the_end_of_the_loop(camera):
    _, frames = await asyncio.to_thread(watch, camera.url("main"), 45)
    steps = {(after - before) * frames[0][1] for before, after in pairwise(stamps_of(frames))}
    assert steps == {Fraction(1, 20)}


async def test_another_view_shows_another_picture_without_a_break(camera):
    watching = asyncio.create_task(asyncio.to_thread(watch, camera.url("main"), 60))
    await asyncio.sleep(1.2)
    camera.view = "bright"
    _, frames = await watching
    brightness = [frame[3][:240].mean() for frame in frames]
    assert brightness[0] < 110
    assert brightness[-1] > 140
    steps = {(after - before) * frames[0][1] for before, after in pairwise(stamps_of(frames))}
    assert steps == {Fraction(1, 20)}


@pytest.mark.parametrize("fault", ["stall", "rtcp_only"])
async def test_a_stalled_camera_makes_the_client_time_out_and_comes_back(camera, fault):
    setattr(camera.faults, fault, True)
    with pytest.raises((av.error.ExitError, av.error.TimeoutError, av.error.InvalidDataError)):
        await asyncio.to_thread(watch, camera.url("main"), 1, 1.0)
    setattr(camera.faults, fault, False)
    _, frames = await asyncio.to_thread(watch, camera.url("main"), 1)
    assert frames[0][2]


async def test_a_describe_that_hangs_makes_the_client_time_out(camera):
    camera.faults.hang_describe = True

    def open_it():
        av.open(camera.url("main"), options=OPTIONS, timeout=(1.0, 1.0)).close()

    with pytest.raises((av.error.ExitError, av.error.TimeoutError, av.error.InvalidDataError)):
        await asyncio.to_thread(open_it)


async def test_dropped_connections_end_the_stream_and_a_refusing_camera_can_not_be_opened(camera):
    watching = asyncio.create_task(asyncio.to_thread(watch, camera.url("main"), 10_000))
    await asyncio.sleep(1.5)
    camera.faults.refuse = camera.faults.disconnect = True
    try:
        _, frames = await watching
    except OSError:
        frames = []
    assert len(frames) < 10_000
    with pytest.raises(av.error.ConnectionRefusedError):
        await asyncio.to_thread(watch, camera.url("main"), 1)

    camera.faults.refuse = False
    await camera.server.listening.wait()
    _, frames = await asyncio.to_thread(watch, camera.url("main"), 1)
    assert frames[0][2]


async def test_udp_is_refused_so_that_clients_take_tcp(camera):
    def open_udp():
        av.open(camera.url("main"), options=OPTIONS | {"rtsp_transport": "udp"}, timeout=10).close()

    with pytest.raises(av.error.FFmpegError):
        await asyncio.to_thread(open_udp)
