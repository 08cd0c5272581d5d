"""The board of the demo. It says what it is wherever its name is shown, and never invents a fault.

Storage is the real medium of the machine, because the recordings really go there.
"""

from pathlib import Path

from hardware.interface import (
    Board,
    BoardIdentity,
    BoardKind,
    ClockChipState,
    PowerState,
    Temperature,
)
from hardware.linux.storage import BlockStorage


class FixedThermometers:
    """One sensor that a test or a demo may set."""

    def __init__(self, celsius: float | None = 45.0, critical_c: float | None = 85.0) -> None:
        self.celsius, self.critical_c = celsius, critical_c

    def read(self) -> tuple[Temperature, ...]:
        return (Temperature("simulated", self.celsius, self.critical_c),)


class FixedPower:
    """A supply that a test or a demo may set."""

    def __init__(self, state: PowerState | None = None) -> None:
        self.state = state or PowerState(under_voltage=False, throttled=False, source="simulated")

    def read(self) -> PowerState:
        return self.state


class SimulatedClockChip:
    """A clock chip, so that the demo's machine needs no time server to be believed."""

    def read(self) -> ClockChipState:
        return ClockChipState(is_present=True, name="simulated")


def build(thermometers: FixedThermometers | None = None, power: FixedPower | None = None) -> Board:
    """Return a simulated board, by default a healthy one."""
    return Board(
        identity=BoardIdentity(BoardKind.SIMULATED, "Simulated board"),
        thermometers=thermometers or FixedThermometers(),
        power=power or FixedPower(),
        storage=BlockStorage(Path("/")),
        clock_chip=SimulatedClockChip(),
    )
