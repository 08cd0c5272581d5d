"""A right login is not refused for how it was sent: two at once, or with a nonce that aged.

HTTP digest counts the requests of a nonce, and a camera refuses a count that comes late.
"""

import asyncio
from contextlib import asynccontextmanager

import pytest

from agent.cameras.door import Door
from agent.cameras.zeep_backend import ZeepCamera
from agent.core.clock import SystemClock
from tests.simulated_onvif import LOGIN, running_camera

LATE_S = 0.2


@asynccontextmanager
async def late(camera, word):
    """Give an address of the camera where what logs in and says `word` arrives later."""
    tasks = set()

    async def pump(reader, writer):
        while piece := await reader.read(65536):
            if word in piece and b"Authorization" in piece:
                await asyncio.sleep(LATE_S)
            writer.write(piece)
        writer.close()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        there, back = await asyncio.open_connection("127.0.0.1", camera._http.port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(pump(reader, back))
                both.create_task(pump(there, writer))
        except* (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            back.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield camera.url.replace(str(camera._http.port), str(server.sockets[0].getsockname()[1]))
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("way", ["", "digest"])
async def test_a_stop_and_a_question_at_once_are_both_let_in(way):
    """As a core does it that was killed and starts again."""
    async with running_camera(ptz=True) as camera, late(camera, b"wsdl/Stop") as url:
        door = Door(LOGIN, SystemClock())
        door.way = way
        control = ZeepCamera(url, door, SystemClock())
        stopping = asyncio.create_task(asyncio.to_thread(control.stop))
        while not stopping.done():
            await asyncio.to_thread(control.position)
        await stopping
        assert "Stop" in camera.calls
        assert not camera.login.refused_total
        control.close()


async def test_a_nonce_that_aged_on_its_way_says_nothing_of_the_password():
    async with running_camera() as camera:
        control = ZeepCamera(camera.url, Door(LOGIN, SystemClock()), SystemClock())
        for _ in range(2):
            camera.login.stale_next = 2
            assert (await asyncio.to_thread(control.facts)).serial
        assert not camera.login.refused_total
        control.close()
