"""What a simulated board's sensors tell: numbers in files, which a person or a test writes.

`temperature` in degrees, `under-voltage` (1: the supply is too weak), `fan-rpm`, `battery` (percent
left: it runs on it), `disk-life` in percent used, `clock-chip` in seconds since 1970. Without its
file a sensor is well, and fan and battery are not there; one whose file is taken away is gone.
"""

from dataclasses import replace
from pathlib import Path

from hardware.interface import (
    ClockChipState,
    FanState,
    PowerState,
    StorageState,
    Supply,
    SupplyKind,
    Temperature,
)
from hardware.linux.believable import believable, believable_pct, believable_rpm
from hardware.linux.files import read_int
from hardware.linux.storage import BlockStorage

NAME = "simulated"
_FAN_DUTY_PCT = 60


class _Dial:
    """One file. `is_set`: it was there at some time."""

    def __init__(self, file: Path | None) -> None:
        self._file, self._was_there = file, False

    @property
    def is_set(self) -> bool:
        self._was_there = self._was_there or (self._file is not None and self._file.exists())
        return self._was_there

    def read(self) -> int | None:
        return read_int(self._file) if self._file is not None else None


class _Thermometers:
    def __init__(self, dial: _Dial) -> None:
        self._dial = dial

    def read(self) -> tuple[Temperature, ...]:
        celsius = self._dial.read() if self._dial.is_set else 45.0
        return (Temperature(NAME, believable(celsius), 85.0),)


class _Power:
    def __init__(self, dial: _Dial) -> None:
        self._dial = dial

    def read(self) -> PowerState:
        level = self._dial.read() if self._dial.is_set else 0
        is_low = bool(level) if level in {0, 1} else None
        return PowerState(under_voltage=is_low, throttled=False, source=NAME)


class _Fans:
    def __init__(self, dial: _Dial) -> None:
        self._dial = dial

    def read(self) -> tuple[FanState, ...]:
        if not self._dial.is_set:
            return ()
        return (FanState(NAME, believable_rpm(self._dial.read()), _FAN_DUTY_PCT),)


class _Supplies:
    def __init__(self, dial: _Dial) -> None:
        self._dial = dial

    def read(self) -> tuple[Supply, ...]:
        if not self._dial.is_set:
            return ()
        left_pct = believable_pct(self._dial.read())
        is_used = None if left_pct is None else True
        return (Supply(NAME, SupplyKind.UPS, charge_pct=left_pct, is_discharging=is_used),)


class _Storage:
    """The machine's real medium; only how worn it is may be set."""

    def __init__(self, dial: _Dial) -> None:
        self._real, self._dial = BlockStorage(Path("/")), dial

    def read(self, folder: Path) -> StorageState:
        state = self._real.read(folder)
        if not self._dial.is_set:
            return state
        return replace(state, life_used_pct=believable_pct(self._dial.read(), most=255))


class _ClockChip:
    """Without a file it is there, so that the demo needs no time server to be believed."""

    def __init__(self, dial: _Dial) -> None:
        self._dial = dial

    def read(self) -> ClockChipState:
        if not self._dial.is_set:
            return ClockChipState(is_present=True, name=NAME)
        epoch_s = self._dial.read()
        return ClockChipState(is_present=epoch_s is not None, name=NAME, epoch_s=epoch_s)


class Dials:
    """The sensors of one folder; without a folder all of them are well."""

    def __init__(self, folder: Path | None) -> None:
        def dial(name: str) -> _Dial:
            return _Dial(folder / name if folder else None)

        self.thermometers = _Thermometers(dial("temperature"))
        self.power = _Power(dial("under-voltage"))
        self.fans = _Fans(dial("fan-rpm"))
        self.supplies = _Supplies(dial("battery"))
        self.storage = _Storage(dial("disk-life"))
        self.clock_chip = _ClockChip(dial("clock-chip"))
