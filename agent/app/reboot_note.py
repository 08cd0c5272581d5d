"""What the first hour after a reboot of the box's own tells: that it was one, and why."""

from collections.abc import Iterator
from pathlib import Path

from agent.app.last_resort import DAY, reboots_of
from agent.core.clock import Clock
from agent.health.catalogue import fault_of
from agent.health.fault import Fault

TOLD_FOR_S = 3600.0  # of the new boot: long enough for a link that comes back slowly


class RebootNote:
    """Reads once which reboots are on record; `faults` of the one that ended the boot before."""

    def __init__(self, data_dir: Path, boot_id: str, clock: Clock) -> None:
        self._clock = clock
        self._last = next(reversed(reboots_of(data_dir)), None)
        if self._last is not None and self._last.boot_id == boot_id:
            self._last = None  # asked for in this boot, and it did not come

    def faults(self) -> Iterator[Fault]:
        """That the box rebooted itself, while that is news."""
        last = self._last
        if last is None or self._clock.monotonic_s() > TOLD_FOR_S:
            return
        if abs(self._clock.utc_now() - last.at) < DAY:
            yield fault_of("board.rebooted", "board", last.at, reason=last.reason)
