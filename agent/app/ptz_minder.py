"""What the box does with a camera's PTZ head by itself, while nobody holds it.

At start the camera is stopped: nobody knows how the last run ended. After a lease it goes home, and
then on with its guard tour. Any lease interrupts both. Core process.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from agent.core import log
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.core.errors import PolesideError

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.cameras.gate import CameraGate
    from agent.settings.model import CameraSettings
    from agent.settings.ptz import PtzSettings

LOOK_EVERY_S, IDLE_EVERY_S = 0.5, 5.0
HOME_AFTER_S = 4.0  # an operator's lease may only be on its way to be renewed
GIVE_UP_HOME_S = 60.0
HOME = "home"


class Holders(Protocol):
    """Who holds which camera, as `agent.commands.ptz_lease.Leases` knows."""

    def is_free(self, camera_id: str) -> bool: ...
    def ended_mono_s(self, camera_id: str) -> float | None: ...
    def tours(self, camera_id: str) -> None: ...


@dataclass(slots=True)
class _Head:
    """What was done with one camera so far."""

    is_stopped: bool = False
    homed_for_mono_s: float | None = None
    next_stop: int = 0
    due_mono_s: float = 0.0
    problem: str = ""
    busy: asyncio.Task[None] | None = field(default=None)


class PtzMinder(Service):
    """`movable_gate` gives a camera's gate once it is known to have a PTZ head."""

    name = "ptz-minder"

    def __init__(
        self,
        cameras: tuple[CameraSettings, ...],
        movable_gate: Callable[[str], CameraGate | None],
        holders: Holders,
        clock: Clock,
    ) -> None:
        super().__init__(clock)
        self._gate_of, self._holders = movable_gate, holders
        self._heads: dict[str, _Head] = {}
        self._settings: dict[str, PtzSettings] = {}
        self._log = log.get(self.name)
        self.use(cameras)

    def use(self, cameras: tuple[CameraSettings, ...]) -> None:
        """Take the cameras' settings over."""
        self._settings = {camera.camera_id: camera.ptz for camera in cameras if camera.onvif_url}
        for camera_id in self._settings:
            self._heads.setdefault(camera_id, _Head())

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                self.progressed()
                for camera_id in self._settings:
                    head, gate = self._heads[camera_id], self._gate_of(camera_id)
                    if gate is not None and (head.busy is None or head.busy.done()):
                        head.busy = tasks.create_task(self._mind(camera_id, head, gate))
                every_s = LOOK_EVERY_S if self._settings else IDLE_EVERY_S
                await self._clock.sleep_s(to_tick_s(self._clock, every_s))

    async def _mind(self, camera_id: str, head: _Head, gate: CameraGate) -> None:
        if not self._holders.is_free(camera_id):
            head.is_stopped = True  # whoever holds it has it in hand
            return
        try:
            await self._do_what_is_due(camera_id, head, gate)
        except PolesideError as error:
            if error.code != head.problem:
                head.problem = error.code
                self._log.warning("head", camera=camera_id, code=error.code, why=error.message)
            head.due_mono_s = self._clock.monotonic_s() + HOME_AFTER_S
        else:
            head.problem = ""

    async def _do_what_is_due(self, camera_id: str, head: _Head, gate: CameraGate) -> None:
        settings, now_s = self._settings[camera_id], self._clock.monotonic_s()
        ended_s = self._holders.ended_mono_s(camera_id)
        if not head.is_stopped:
            if now_s >= head.due_mono_s:
                await gate.stop()
                head.is_stopped = True
        elif ended_s is not None and ended_s != head.homed_for_mono_s:
            if now_s >= max(ended_s + HOME_AFTER_S, head.due_mono_s):
                await self._go_home(camera_id, head, gate, ended_s)
        elif settings.tour and now_s >= head.due_mono_s:
            stop = settings.tour[head.next_stop % len(settings.tour)]
            head.next_stop += 1  # before it is tried: a preset that is gone is passed over
            self._holders.tours(camera_id)
            await gate.go(lambda gone: gone.goto_preset(stop.preset))
            head.due_mono_s = self._clock.monotonic_s() + stop.dwell_s

    async def _go_home(
        self, camera_id: str, head: _Head, gate: CameraGate, ended_mono_s: float
    ) -> None:
        home = self._settings[camera_id].home
        try:
            if home:
                self._holders.tours(camera_id)
                await gate.go(lambda it: it.goto_home() if home == HOME else it.goto_preset(home))
        except PolesideError as error:
            is_over = self._clock.monotonic_s() > ended_mono_s + GIVE_UP_HOME_S
            if is_over or not error.retryable:
                head.homed_for_mono_s = ended_mono_s
            raise
        head.homed_for_mono_s = ended_mono_s
        tour = self._settings[camera_id].tour
        head.due_mono_s = self._clock.monotonic_s() + (tour[0].dwell_s if tour else 0.0)
