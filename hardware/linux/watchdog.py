"""Hardware watchdogs of /sys/class/watchdog. Reading here arms and feeds nothing."""

from pathlib import Path

from hardware.interface import WatchdogState
from hardware.linux.files import read_int, read_text

_CARD_RESET = 0x0020  # WDIOF_CARDRESET: the card itself reset the machine (linux/watchdog.h)


class SysfsWatchdogs:
    """Every watchdog the kernel has a driver for."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "sys/class/watchdog"

    def read(self) -> tuple[WatchdogState, ...]:
        return tuple(_state(chip) for chip in sorted(self._folder.glob("watchdog*")))


def _state(chip: Path) -> WatchdogState:
    state = read_text(chip / "state")
    return WatchdogState(
        name=read_text(chip / "identity") or chip.name,
        is_armed=None if state is None else state == "active",
        timeout_s=read_int(chip / "timeout"),
        time_left_s=read_int(chip / "timeleft"),
        caused_last_reset=_caused_last_reset(chip),
    )


def _caused_last_reset(chip: Path) -> bool | None:
    """Return what the driver knows: one that can't tell leaves `bootstatus` at 0, as a Pi's does.

    What it can tell is in `options` (since Linux 6.4).
    """
    status, options = read_int(chip / "bootstatus"), read_int(chip / "options", base=16)
    if status is not None and status & _CARD_RESET:
        return True
    return False if status is not None and (options or 0) & _CARD_RESET else None
