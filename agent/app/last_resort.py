"""The last resort: a box whose needed processes made no progress for long starts anew, as a whole.

supervisor's tick -> here -> systemd's reboot; the next boot reads the reason and tells it.

Off unless the settings say otherwise. Since when nothing progresses is kept in memory of the
machine (the run folder), for systemd restarts a hanging agent long before; how often it was done is
kept on the disk, and a reboot that can't be counted is not done: it would have no bound.
"""

import subprocess
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct

from agent.app.run_dir import run_dir
from agent.core import log
from agent.core.clock import Clock, boot_id
from agent.core.errors import PolesideError
from agent.core.whole_file import write_whole
from agent.settings.load import data_dir_of
from agent.settings.model import Settings

PROGRESS_FILE, REBOOTS_FILE = "progress", "reboots.json"
KEEP_EVERY_S = 30.0
ASK_AGAIN_S = 300.0
REBOOT_WAIT_S = 10.0
DAY, KEPT = timedelta(days=1), 20

_log = log.get("last-resort")


class Reboot(Struct, frozen=True, kw_only=True):
    """One reboot the box asked for itself; `boot_id` is of the boot that was ended."""

    at: datetime
    boot_id: str
    reason: str


def by_systemd() -> None:
    """Ask systemd to reboot in order. Raises `OSError`, so without a polkit rule for our user."""
    command = ["systemctl", "--no-ask-password", "reboot"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=REBOOT_WAIT_S)  # noqa: S603 - fixed words
    except subprocess.SubprocessError as error:
        raise OSError(f"systemctl does not reboot: {error}") from error


def last_resort_of(settings: Settings, clock: Clock) -> "LastResort":
    """Return a box's last resort; a simulated board writes a file instead of rebooting."""
    folder, board = run_dir(settings), settings.board
    is_simulated = board.kind == "simulated"
    return LastResort(
        folder,
        data_dir_of(settings),
        boot_id(),
        clock,
        after_s=board.reboot_after_s,
        per_day=board.reboots_per_day,
        reboot=(folder / "rebooted").touch if is_simulated else by_systemd,
    )


def reboots_of(data_dir: Path) -> list[Reboot]:
    """Return the reboots on record, oldest first."""
    try:
        return msgspec.json.decode((data_dir / REBOOTS_FILE).read_bytes(), type=list[Reboot])
    except (OSError, msgspec.MsgspecError):
        return []


class LastResort:
    """Told at each tick whether the needed processes are well."""

    def __init__(
        self,
        run_folder: Path,
        data_dir: Path,
        boot_id: str,
        clock: Clock,
        *,
        after_s: float,
        per_day: int,
        reboot: Callable[[], None] = by_systemd,
    ) -> None:
        """`after_s`: so long without progress; 0 switches it off."""
        self._file, self._data_dir, self._boot_id = run_folder / PROGRESS_FILE, data_dir, boot_id
        self._clock, self._after_s, self._per_day = clock, after_s, per_day
        self._reboot, self._asked_s = reboot, float("-inf")
        self._well_s = self._kept() if after_s else clock.monotonic_s()
        self._kept_s = float("-inf")

    def look(self, *, is_well: bool) -> None:
        """Take one look; reboots when it has been bad for too long."""
        if not self._after_s:
            return
        now_s = self._clock.monotonic_s()
        if is_well:
            self._well_s = now_s
        if now_s - self._kept_s >= KEEP_EVERY_S:
            self._kept_s = now_s
            with suppress(OSError):
                self._file.write_text(f"{self._well_s:.0f}")
        is_asked = now_s - self._asked_s < ASK_AGAIN_S
        if now_s - self._well_s >= self._after_s and not is_asked:
            self._asked_s = now_s
            self._start_anew(now_s - self._well_s)

    def forget(self) -> None:
        """A box that was stopped on purpose was not bad meanwhile."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _kept(self) -> float:
        """Return when the box was last well in this boot; now, when nothing is known."""
        now_s = self._clock.monotonic_s()
        try:
            return min(now_s, float(self._file.read_text()))
        except (OSError, ValueError):
            return now_s

    def _start_anew(self, bad_for_s: float) -> None:
        now, past = self._clock.utc_now(), reboots_of(self._data_dir)
        recent = [reboot for reboot in past if abs(now - reboot.at) < DAY]
        if len(recent) >= self._per_day:
            _log.error("no progress, and rebooted often enough today", for_s=round(bad_for_s))
            return
        reason = f"needed processes made no progress for {bad_for_s:.0f} s"
        past = [*past, Reboot(at=now, boot_id=self._boot_id, reason=reason)][-KEPT:]
        try:
            write_whole(self._data_dir / REBOOTS_FILE, msgspec.json.encode(past))
            _log.error("reboots the box", reason=reason)
            self._reboot()
        except (OSError, PolesideError) as error:
            _log.error("can't reboot", detail=str(error))
