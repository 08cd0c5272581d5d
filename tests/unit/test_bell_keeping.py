"""The last minute of a bell call is kept, also when the camera's worker is away just then."""

import asyncio
from datetime import timedelta

import pytest

from agent.app.bell_call import BEFORE, KEEP_AGAIN_S, KEEP_FOR_S, BellCall
from agent.core.errors import CameraError, StorageError
from agent.messages.locking import LockReply
from agent.messages.pole import ContactState, PoleSignal
from tests.fake_clock import FakeClock


class Worker:
    """Answers lock orders as it is told to: with a code, or not at all."""

    def __init__(self):
        self.orders, self.answer = [], ""

    async def order_lock(self, camera_id, order):
        self.orders.append((camera_id, order))
        if self.answer == "camera.worker_silent":
            raise CameraError(self.answer, "The worker does not answer.")
        return LockReply(request_id=order.request_id, code=self.answer)


class Desk:
    """A bell call with a worker; what is audited is in `noted`."""

    def __init__(self):
        self.clock, self.worker, self.noted = FakeClock(), Worker(), []
        self.call = BellCall(
            self.worker, None, lambda _: None, lambda _: "", self._note, self.clock
        )

    async def _note(self, *what):
        self.noted.append(what)
        raise StorageError("storage.refused", "The disk refuses.")

    def press(self):
        self.call.pressed(
            PoleSignal(
                input_id="bell",
                meaning="bell",
                state=ContactState.ACTIVE,
                was=ContactState.IDLE,
                press_id="press-1",
                at=self.clock.utc_now(),
                mono_s=self.clock.monotonic_s(),
                tq=self.clock.quality(),
                camera_id="gate",
            )
        )


@pytest.fixture
async def desk():
    made = Desk()
    task = asyncio.ensure_future(made.call.run())
    yield made
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def ordered(desk, times):
    async with asyncio.timeout(30.0):
        while len(desk.worker.orders) < times:  # noqa: ASYNC110
            await asyncio.sleep(0)


@pytest.mark.parametrize("refusal", ["camera.worker_silent", "storage.no_medium"])
async def test_what_is_refused_is_ordered_again_until_it_is_taken(desk, refusal):
    pressed_at, pressed_mono_s = desk.clock.utc_now(), desk.clock.monotonic_s()
    desk.worker.answer = refusal
    desk.press()
    await ordered(desk, 1)
    await desk.clock.advance(KEEP_AGAIN_S)
    await ordered(desk, 2)
    desk.worker.answer = ""
    await desk.clock.advance(KEEP_AGAIN_S)
    await ordered(desk, 3)
    await desk.clock.advance(KEEP_FOR_S)
    assert len(desk.worker.orders) == 3
    assert desk.noted == []
    ((camera_id, order),) = set(desk.worker.orders)
    assert (camera_id, order.since) == ("gate", pressed_at - BEFORE)
    assert order.since_mono_s == pressed_mono_s - BEFORE / timedelta(seconds=1)


async def test_what_is_never_taken_is_audited_and_other_calls_go_on(desk):
    desk.worker.answer = "lock.share_full"
    desk.press()
    await ordered(desk, 1)
    await desk.clock.advance(KEEP_FOR_S + KEEP_AGAIN_S)
    ((operation, outcome, detail),) = desk.noted
    assert (operation, outcome) == ("lock", "failed")
    assert "lock.share_full" in detail
    desk.worker.answer = ""
    before = len(desk.worker.orders)
    desk.press()
    await ordered(desk, before + 1)
