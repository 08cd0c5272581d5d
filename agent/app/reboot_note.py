"""What follows a reboot of the box's own: that it was one, and why, until it is surely told.

`last_resort`'s record -> here -> the watch's faults -> `agent.events.box_faults`, whose event waits
in the outbox for the center. Neither clock nor link matters: what was told is kept by the id of the
boot that was ended. Core process.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from agent.app.last_resort import reboots_of
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.errors import PolesideError
from agent.core.whole_file import write_whole
from agent.health.catalogue import fault_of
from agent.health.fault import Fault

CODE, SUBJECT = "board.rebooted", "board"
TOLD_FILE = "reboot-told"
SHOWN_FOR_S = 3600.0  # after it was told, for who looks at the box or its telemetry
_LOOK_EVERY_S = 10.0


class RebootNote(Service):
    """Reads once which reboots are on record; `faults` of the last one, if it is news.

    `is_told`: whether the event of a fault, by code and subject, is in the outbox.
    """

    name = "reboot-note"

    def __init__(
        self, data_dir: Path, boot_id: str, is_told: Callable[[str, str], bool], clock: Clock
    ) -> None:
        super().__init__(clock)
        self._is_told, self._file = is_told, data_dir / TOLD_FILE
        self._last = next(reversed(reboots_of(data_dir)), None)
        if self._last is not None and self._last.boot_id in {boot_id, self._told()}:
            self._last = None  # asked for in this boot, and it did not come; or no news

    def faults(self) -> Iterator[Fault]:
        """That the box rebooted itself, while that is news."""
        if self._last is not None:
            yield fault_of(CODE, SUBJECT, self._last.at, reason=self._last.reason)

    async def run(self) -> None:
        """Wait until it is told, remember that, and end the news a while later."""
        if self._last is None:
            return
        while not self._is_told(CODE, SUBJECT):
            await self._clock.sleep_s(_LOOK_EVERY_S)
        with suppress(OSError, PolesideError):  # then the next start of the core tells it again
            await asyncio.to_thread(write_whole, self._file, self._last.boot_id.encode())
        await self._clock.sleep_s(SHOWN_FOR_S)
        self._last = None

    def _told(self) -> str:
        try:
            return self._file.read_text()
        except (OSError, ValueError):
            return ""
