"""A press outlasts a disk that refuses: the camera is called up at once, the alarm follows."""

import asyncio

from agent.app.pole_desk import AGAIN_S, PoleDesk
from agent.app.worker_hub import WorkerHub
from agent.core.errors import StorageError
from agent.messages.pole import ContactState
from agent.settings.pole import PoleSettings
from hardware.pick import pick_board
from tests.fake_clock import FakeClock

REFUSALS = 12  # more than a component may fail until its process is started anew


async def until(is_so):
    async with asyncio.timeout(30.0):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_a_press_outlasts_a_disk_that_refuses(tmp_path):
    clock, asked, taken, pressed = FakeClock(), [], [], []

    async def nothing(_): ...

    async def take(signal, picture):
        asked.append(signal)
        if len(asked) <= REFUSALS:
            raise StorageError("storage.refused", "The disk refuses.")
        taken.append(signal.state)

    hub = WorkerHub(tmp_path / "core.sock", clock, nothing, lambda _: None)
    board = pick_board(tmp_path, "simulated", tmp_path)
    desk = PoleDesk(PoleSettings(), board, hub, take, tmp_path, clock)
    desk.on_press = pressed.append
    bells = asyncio.ensure_future(desk.heard.run())
    desk.heard.heard("gate", "bell-1", is_active=True)
    await until(lambda: pressed and asked)
    desk.heard.heard("gate", "bell-1", is_active=False)
    for refused in range(1, REFUSALS + 1):
        await until(lambda so_often=refused: len(asked) == so_often)
        assert taken == []
        await clock.advance(AGAIN_S)
    await until(lambda: taken == [ContactState.ACTIVE, ContactState.IDLE])
    assert [signal.press_id for signal in pressed] == [asked[0].press_id]
    assert not bells.done()
    bells.cancel()
    await asyncio.gather(bells, return_exceptions=True)
