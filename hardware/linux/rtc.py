"""Is there a real-time clock chip? Seen from /sys/class/rtc; whether it is right, nobody knows."""

from pathlib import Path

from hardware.interface import ClockChipState
from hardware.linux.files import read_int, read_text


class RealTimeClock:
    """The first clock chip of the kernel."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "sys/class/rtc"

    def read(self) -> ClockChipState:
        chip = next(iter(sorted(self._folder.glob("rtc*"))), None)
        if chip is None:
            return ClockChipState(is_present=False)
        return ClockChipState(
            is_present=True, name=read_text(chip / "name"), epoch_s=read_int(chip / "since_epoch")
        )
