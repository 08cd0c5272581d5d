"""No time is before the last recording: a box without a clock battery learns it here, at its start.

Read by the supervisor before it forks and by the core; from then on a wall clock below it is
`unsynced`, on every event and in telemetry, unless the kernel says that it is synchronised. Without
a clock chip it is `unsynced` above the floor, too, until it was synchronised once in this boot;
the proof lies in the run folder, which keeps it as long as the boot.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from agent.app.run_dir import TIME_PROOF, run_dir
from agent.contract.events import TimeQuality
from agent.core import log
from agent.core.clock import RELEASE_FLOOR, Clock, SystemClock, boot_id, to_tick_s
from agent.core.component import Service
from agent.core.errors import PolesideError
from agent.core.patience import Patience
from agent.core.whole_file import write_whole
from agent.settings.load import data_dir_of
from agent.settings.model import Settings
from hardware.interface import ClockChipState
from hardware.pick import pick_board

FLOOR_FILE = "time-floor"
_LOOK_EVERY_S = 10.0
CHIP_PATIENCE_S = 3.0  # while a box starts, all is slow


def stand_on_it(settings: Settings, root: Path = Path("/")) -> None:
    """Let no wall clock of this process, and of those it forks, be believed below the floor.

    Nor at all before it is synchronised, on a board (`root` is its /sys) without a clock chip that
    has kept the time.
    """
    data_dir, now = data_dir_of(settings), SystemClock().utc_now()
    floor = max(_kept(data_dir), last_recorded(data_dir))
    SystemClock.raise_floor(floor)
    board, silent = pick_board(root, settings.board.kind), ClockChipState(is_present=False)
    if not _is_kept(Patience(CHIP_PATIENCE_S).ask("clock chip", board.clock_chip.read, silent)):
        SystemClock.proof = run_dir(settings) / f"{TIME_PROOF}-{boot_id()}"
    if now < floor:
        log.get("clock").warning("boots before its last recording", last=floor, now=now)


def keep_floor(settings: Settings) -> None:
    """Keep the floor on the disk: an index written in a boot without the time looks old.

    Once the time is synchronised it is that time, so that a clock that ran ahead leaves no trace.
    """
    clock, data_dir = SystemClock(), data_dir_of(settings)
    is_true = clock.quality() is TimeQuality.NTP
    floor = clock.utc_now() if is_true else SystemClock.floor
    if floor != _kept(data_dir):
        with suppress(OSError, PolesideError):
            write_whole(data_dir / FLOOR_FILE, floor.isoformat().encode())


class FloorKeeper(Service):
    """Keeps the floor again once the time is synchronised, which may be hours after the start."""

    name = "time-floor"

    def __init__(self, settings: Settings, clock: Clock) -> None:
        super().__init__(clock)
        self._settings = settings

    async def run(self) -> None:
        while self._clock.quality() is not TimeQuality.NTP:
            await self._clock.sleep_s(to_tick_s(self._clock, _LOOK_EVERY_S))
        await asyncio.to_thread(keep_floor, self._settings)


def last_recorded(data_dir: Path) -> datetime:
    """Return when an index of recordings was last written, the epoch without any."""
    newest_s = 0.0
    for file in (data_dir / "cameras").glob("*/index.db*"):
        with suppress(OSError):
            newest_s = max(newest_s, file.stat().st_mtime)
    return datetime.fromtimestamp(newest_s, UTC)


def _is_kept(chip: ClockChipState) -> bool:
    """Whether a chip has carried the time over: one without a battery tells 1970.

    A chip that is merely slow is no such one: it may well be behind the last recording.
    """
    lost = chip.epoch_s is not None and chip.epoch_s < RELEASE_FLOOR.timestamp()
    return chip.is_present and not lost


def _kept(data_dir: Path) -> datetime:
    try:
        return datetime.fromisoformat((data_dir / FLOOR_FILE).read_text()).astimezone(UTC)
    except (OSError, ValueError):
        return datetime.fromtimestamp(0, UTC)
