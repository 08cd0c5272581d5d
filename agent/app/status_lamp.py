"""The lamp in the cabinet: how the box does, in blinks, and which box it is when somebody asks.

What the core knows -> here -> `hardware` lamp. It always blinks: a lamp that stands still says that
the agent does not run. Core process.
"""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from agent.app.voice import Voice
from agent.app.watch import Watch
from agent.commands.identify import identify
from agent.contract.updates import UpdateInfo, UpdateStage
from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.health.fault import Fault, Severity
from agent.updates.keeper import Updates
from hardware.lamp import Lamp, LampError, OpenLamp

IDENTIFY_S: Final = 120.0
_AGAIN_S: Final = 60.0


class Sight(StrEnum):
    """What a person at the cabinet sees."""

    IDENTIFY = "identify"
    UPDATING = "updating"
    STARTING = "starting"
    FAULT = "fault"
    TO_SET_UP = "to-set-up"
    NO_UPLINK = "no-uplink"
    HEALTHY = "healthy"


def _flashes(count: int) -> tuple[float, ...]:
    """Return so many flashes in two seconds: on, off, on, …; the last is the pause."""
    return (0.1, 0.2) * (count - 1) + (0.1, 2.0 - 0.3 * count + 0.2)


# Seconds on, off, on, …: one round.
PATTERNS: Final = {
    Sight.IDENTIFY: (0.1, 0.1),
    Sight.UPDATING: (1.5, 0.5),
    Sight.STARTING: (0.5, 0.5),
    Sight.HEALTHY: _flashes(1),
    Sight.TO_SET_UP: _flashes(2),
    Sight.NO_UPLINK: _flashes(3),
    Sight.FAULT: _flashes(5),
}


def sight_of(
    faults: list[Fault] | None, update: UpdateInfo | None, *, cameras: int, is_connected: bool
) -> Sight:
    """Return what to show; `faults` None: nothing was looked at yet.

    A box without cameras is to be set up, whatever its link does.
    """
    if update is not None and update.stage is UpdateStage.ASKED:
        return Sight.UPDATING
    if faults is None:
        return Sight.STARTING
    if any(one.severity is Severity.RED and not one.code.startswith("link.") for one in faults):
        return Sight.FAULT
    if not cameras:
        return Sight.TO_SET_UP
    return Sight.HEALTHY if is_connected else Sight.NO_UPLINK


class StatusLamp(Service):
    """Blinks round after round; a lamp that can't be had is tried again now and then."""

    name = "status-lamp"

    def __init__(self, lamp: Lamp, sight: Callable[[], Sight], clock: Clock) -> None:
        super().__init__(clock)
        self._lamp, self._sight, self._log = lamp, sight, log.get(self.name)
        self._identify_until_s = 0.0
        self.can_show = False

    def identify(self, for_s: float = IDENTIFY_S) -> bool:
        """Blink fast for so long, from the next round on; 0 ends it. False: there is no lamp."""
        self._identify_until_s = self._clock.monotonic_s() + for_s
        return self.can_show

    @property
    def now(self) -> Sight:
        """What is shown."""
        if self._clock.monotonic_s() < self._identify_until_s:
            return Sight.IDENTIFY
        return self._sight()

    async def run(self) -> None:
        while True:
            try:
                await self._blink()
            except LampError as error:
                self._log.warning("no lamp", detail=str(error))
            self.can_show = False
            await self._clock.sleep_s(_AGAIN_S)

    async def _blink(self) -> None:
        taken = await asyncio.to_thread(self._lamp.open)
        if taken is None:
            return
        self.can_show = True
        try:
            while True:
                await self._round(taken)
        finally:
            taken.close()

    async def _round(self, taken: OpenLamp) -> None:
        is_on = True
        for span_s in PATTERNS[self.now]:
            taken.set(is_on)
            is_on = not is_on
            await self._clock.sleep_s(span_s)


def make_lamp(lamp: Lamp, watch: Watch, voice: Voice, updates: Updates, clock: Clock) -> StatusLamp:
    """Return the component; the center's order `identify` reaches it."""

    def sight() -> Sight:
        return sight_of(
            watch.faults if watch.vitals else None,
            updates.told(),
            cameras=len(watch.settings.cameras),
            is_connected=voice.link.status.connected,
        )

    made = StatusLamp(lamp, sight, clock)
    voice.commands.register("identify", identify(made.identify), idempotent=True)
    return made
