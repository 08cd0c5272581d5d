"""An order to keep video reaches the one writer of the index, and its answer the center."""

import asyncio
import threading
from datetime import timedelta

import pytest

from agent.app.core_line import CoreLine
from agent.app.worker_hub import WorkerHub
from agent.buffer import orders
from agent.buffer.locks import Locks
from agent.commands.lock import LockHandler
from agent.contract.commands import Actor, Command, Lock, Unlock
from agent.core.clock import SystemClock
from agent.core.errors import CameraError, CommandError
from agent.core.ids import new_ulid
from agent.messages.worker import Hello
from tests.footage_maker import make_clip
from tests.recording import Tape
from tests.spine import eventually

CLOCK = SystemClock()


class RunningClock(SystemClock):
    """The true clock; nobody needs to move it."""

    def pass_s(self, seconds):
        """It passes by itself."""


@pytest.fixture
def tape(tmp_path):
    tape = Tape(tmp_path / "gate", RunningClock())
    tape.record(make_clip(tmp_path / "clip.mp4", seconds=2, size_px=(160, 120)))
    yield tape
    tape.index.close()


def command(args):
    return Command(
        id=new_ulid(CLOCK.utc_now()),
        args=args,
        box="bx-1",
        by=Actor(user="kim", case="2026-0417"),
        iat=0,
        nbf=0,
        exp=0,
        iss="center",
    )


def lock(**changes):
    now = CLOCK.utc_now()
    fields = {
        "camera_id": "gate",
        "start_at": now - timedelta(minutes=1),
        "end_at": now + timedelta(minutes=1),
        "expires_at": now + timedelta(days=30),
    }
    return command(Lock(**(fields | changes)))


async def nothing(*_):
    return None


@pytest.fixture
async def handler(tape, tmp_path):
    """The real hub and a worker's real line, locks and index."""
    locks = Locks(tape.folder, tape.index, tape.settings, CLOCK, lambda: 10**9)
    hub = WorkerHub(tmp_path / "core.sock", CLOCK, nothing, lambda _: None)
    line = CoreLine(
        tmp_path / "core.sock",
        Hello(camera_id="gate", pid=1),
        list,
        lambda order: line.put(orders.carry_out(locks, order, CLOCK)),
        CLOCK,
    )
    stop = threading.Event()

    async def is_connected():
        return hub.is_connected("gate")

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(hub.run())
        thread = threading.Thread(target=line.run, args=(stop,))
        thread.start()
        await eventually(is_connected)
        yield LockHandler(hub)
        stop.set()
        line.wake()
        await asyncio.to_thread(thread.join)
        running.cancel()


async def test_an_order_locks_and_another_lets_go(handler, tape):
    order = lock()
    answer = await handler(order, nothing)
    assert answer["lock_id"] == order.id
    assert await handler(order, nothing) == answer  # again: the same lock
    (row,) = tape.rows("locks")
    assert (row["approver"], row["incident_id"], row["kind"]) == ("kim", "2026-0417", "evidence")
    assert tape.retention.free_some() == 0

    await handler(command(Unlock(camera_id="gate", lock_id=order.id)), nothing)
    assert tape.retention.free_some() == 1


async def test_a_refusal_keeps_its_code(handler):
    with pytest.raises(CommandError) as refused:
        await handler(lock(expires_at=CLOCK.utc_now()), nothing)
    assert refused.value.code == "lock.expired"
    with pytest.raises(CommandError) as refused:
        await handler(command(Unlock(camera_id="gate", lock_id="x")), nothing)
    assert refused.value.code == "lock.unknown"


async def test_a_camera_without_a_worker_is_said(handler):
    with pytest.raises(CameraError) as refused:
        await handler(lock(camera_id="yard"), nothing)
    assert refused.value.code == "camera.worker_silent"
