"""A worker whose camera is only recorded shows what a grant asks for, and ends in the middle of it.

The worker runs in a thread of the test, with the core's end of its line; camera and relay are real.
"""

import asyncio
import socket
import threading
from contextlib import asynccontextmanager

import pytest

from agent.app.camera_process import CameraWorker
from agent.app.child import SupervisorLink
from agent.app.keeping import find_folder
from agent.app.run_dir import CORE_SOCKET, run_dir
from agent.app.streams import Streams
from agent.app.worker_calls import WorkerCalls
from agent.app.worker_hub import WorkerHub
from agent.core.clock import SystemClock
from agent.messages.push import StartPush, StopPush
from agent.messages.worker import CameraState
from agent.settings.model import BufferSettings, CameraSettings, Settings
from agent.simulators.camera.media import load_media
from tests.camera_thread import CameraThread
from tests.footage_maker import make_clip
from tests.relay_thread import RelayThread
from tests.spine import eventually

CLOCK = SystemClock()
NO_WALL_BYTES = 1 << 40  # the memory here is that of all tests


@pytest.fixture
def camera(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", seconds=4, size_px=(160, 120))
    with CameraThread(load_media(clip)) as made:
        yield made


@pytest.fixture
def relay():
    with RelayThread() as made:
        yield made


def order(url):
    until_s = CLOCK.monotonic_s() + 100.0
    return StartPush(push_id="p", stream="sub", url=url, token="", until_mono_s=until_s)


@asynccontextmanager
async def worker(folder, camera, **changes):
    """Run a worker of a camera that is not looked at; yield the core's end, and how to end it."""
    told = CameraSettings(
        camera_id="gate", main_url=camera.url, username="admin", password=camera.password,
        look=False, max_rss_bytes=NO_WALL_BYTES, **changes,
    )  # fmt: skip
    settings = Settings(
        data_dir=str(folder / "box"), cameras=(told,), buffer=BufferSettings(min_free_bytes=0)
    )
    place, _ = find_folder(settings, "gate")
    calls, ours = WorkerCalls(), socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    hub = WorkerHub(run_dir(settings) / CORE_SOCKET, CLOCK, nobody, lambda _: None)
    streams = Streams(told, place, CLOCK, data_dir=folder / "box")
    link, codes = SupervisorLink(ours[0]), []
    made = CameraWorker(settings, told, place, streams, link, CLOCK, calls)
    thread = threading.Thread(target=lambda: codes.append(made.run()), name="worker")

    async def end():
        calls.end()
        await asyncio.to_thread(thread.join)
        return codes

    async with asyncio.TaskGroup() as tasks:
        hearing = tasks.create_task(hub.run())
        thread.start()
        try:
            await eventually_true(lambda: records(hub))
            yield hub, end
        finally:
            await end()
            hearing.cancel()
            for one in ours:
                one.close()


async def nobody(_):
    return None


def records(hub):
    status = hub.status("gate")
    is_online = status is not None and status.main.state is CameraState.ONLINE
    return is_online and status.recording.recording


def threads():
    return {one.name for one in threading.enumerate()} & {"sub", "push"}


async def eventually_true(holds):
    async def it_does():
        return holds()

    await eventually(it_does)


async def test_of_a_camera_with_one_stream_a_grant_for_the_small_one_shows_that(
    tmp_path, camera, relay
):
    async with worker(tmp_path, camera) as (hub, _):
        await hub.order_push("gate", order(relay.url()))
        await eventually_true(lambda: relay.packets() > 5)
        assert threads() == {"push"}  # no second session
    assert threads() == set()


async def test_who_is_ended_while_it_shows_the_second_stream_leaves_nothing_open(
    tmp_path, camera, relay
):
    with CameraThread(camera.media) as small:
        async with worker(tmp_path, camera, sub_url=small.url) as (hub, end):
            assert (threads(), small.connects_total) == (set(), 0)
            await hub.order_push("gate", order(relay.url()))
            await eventually_true(lambda: relay.packets() > 5)
            assert threads() == {"push", "sub"}
            assert await end() == [0]
            assert threads() == set()


async def test_a_grant_that_ends_while_the_second_stream_is_opened_leaves_nothing_open(
    tmp_path, camera, relay
):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/sub"
        async with worker(tmp_path, camera, sub_url=url) as (hub, _):
            await hub.order_push("gate", order(relay.url()))
            line, _ = await asyncio.to_thread(silent.accept)
            assert "sub" in threads()
            await hub.order_push("gate", StopPush(push_id="p"))
            await eventually_true(lambda: "push" not in threads())
            line.close()  # else it would be waited for
            silent.close()
            await eventually_true(lambda: not threads())
            assert relay.packets() == 0
