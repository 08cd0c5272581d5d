"""A bell was pressed: its camera is called up. It turns to the caller, and its last minute is kept.

pole desk -> here -> worker's lock, and lease (purpose `bell`) -> the camera's gate. The lease has
the least priority of its purpose: whoever answers the call takes the camera over, a guard tour or
an operator with nothing to do with it does not. Core process; the call itself waits for nothing of
this.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from agent.app.worker_hub import WorkerHub
from agent.cameras.gate import CameraGate
from agent.commands.ptz_lease import Lease, Leases
from agent.contract.commands import Actor
from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.errors import PolesideError, StorageError
from agent.messages.locking import LockSpan
from agent.messages.pole import PoleSignal

LOOKS_FOR_S, TURN_AGAIN_S = 60.0, 2.0  # a Stop that went before is over by then
KEEP_AGAIN_S, KEEP_FOR_S = 5.0, 300.0  # a worker that died runs again within that
BEFORE, AFTER, KEPT = timedelta(minutes=1), timedelta(minutes=2), timedelta(days=30)
BELL = Actor(user="box", role="bell")

Note = Callable[[str, str, str], Awaitable[None]]  # (operation, outcome, detail), to be audited


class BellCall(Service):
    """`preset_of` tells where a camera looks while its bell calls; "" leaves it as it stands."""

    name = "pole.bell-call"

    def __init__(
        self,
        hub: WorkerHub,
        leases: Leases,
        gate_of: Callable[[str], CameraGate],
        preset_of: Callable[[str], str],
        note: Note,
        clock: Clock,
    ) -> None:
        super().__init__(clock)
        self._hub, self._leases, self._gate_of = hub, leases, gate_of
        self._preset_of, self._note = preset_of, note
        self._pressed: asyncio.Queue[PoleSignal] = asyncio.Queue()
        self._log = log.get(self.name)

    def pressed(self, signal: PoleSignal) -> None:
        """A bell with a camera was pressed."""
        self._pressed.put_nowait(signal)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                signal = await self._pressed.get()
                tasks.create_task(self._keep(signal))
                if self._preset_of(signal.camera_id):
                    tasks.create_task(self._turn(signal))

    async def _keep(self, signal: PoleSignal) -> None:
        order = LockSpan(
            request_id=signal.press_id,
            lock_id=signal.press_id,
            since=signal.at - BEFORE,
            until=signal.at + AFTER,
            incident_id=signal.press_id,
            approver="bell",
            expires_at=signal.at + KEPT,
            kind="event",
            since_mono_s=signal.mono_s - BEFORE.total_seconds(),
        )
        until_s, why = self._clock.monotonic_s() + KEEP_FOR_S, ""
        while True:
            was, why = why, await self._refusal(signal.camera_id, order)
            if not why:
                return
            if why != was:
                self._log.warning("call not kept yet", camera=signal.camera_id, code=why)
            if self._clock.monotonic_s() >= until_s:
                break
            await self._clock.sleep_s(KEEP_AGAIN_S)
        self._log.error("call not kept", camera=signal.camera_id, code=why)
        detail = f"{signal.camera_id}: the minute of the bell {signal.input_id}: {why}"
        await self._audit("lock", "failed", detail)

    async def _refusal(self, camera_id: str, order: LockSpan) -> str:
        """Have the camera's worker lock; return the code of why it did not, "" when it did."""
        try:
            return (await self._hub.order_lock(camera_id, order)).code
        except PolesideError as error:  # the worker is away: what it recorded waits on the disk
            return error.code

    async def _turn(self, signal: PoleSignal) -> None:
        camera_id, preset = signal.camera_id, self._preset_of(signal.camera_id)
        lease = self._leases.lease_for(BELL, signal.press_id, camera_id, "bell", 0, LOOKS_FOR_S)
        detail = f"{camera_id}: to preset {preset} for the bell {signal.input_id}"
        try:
            async with self._leases.held(lease):
                await self._go(lease, preset)
                await self._audit("ptz.goto", "done", detail)
                await self._leases.until_ended(lease, needs_link=False)
        except PolesideError as error:  # the call itself is told and recorded all the same
            self._log.warning("camera not turned", camera=camera_id, code=error.code)
            await self._audit("ptz.goto", "failed", f"{detail}: {error.code}")

    async def _go(self, lease: Lease, preset: str) -> None:
        """Turn the camera; what may help is tried again for as long as the call has it."""
        while True:
            try:
                await self._gate_of(lease.camera_id).go(lambda head: head.goto_preset(preset))
            except PolesideError as error:
                if not error.retryable:
                    raise
                await asyncio.wait([lease.ended], timeout=TURN_AGAIN_S)
                if lease.ended.done() or self._clock.monotonic_s() >= lease.until_mono_s:
                    raise
            else:
                return

    async def _audit(self, operation: str, outcome: str, detail: str) -> None:
        try:
            await self._note(operation, outcome, detail)
        except StorageError as error:  # the other calls go on
            self._log.error("not audited", operation=operation, detail=detail, code=error.code)
