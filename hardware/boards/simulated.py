"""The board of the demo. It says what it is wherever its name is shown, and never invents a fault.

Storage is the real medium of the machine, because the recordings really go there.
"""

from dataclasses import replace
from pathlib import Path

from hardware.boards.simulated_lines import FileLines
from hardware.boards.simulated_voice import FileSigns, FileSpeaker
from hardware.interface import (
    Accelerator,
    Board,
    BoardIdentity,
    BoardKind,
    ClockChipState,
    CsiSensor,
    FanState,
    PowerState,
    ProcessorState,
    StorageState,
    Supply,
    Temperature,
    Thermometers,
    WatchdogState,
)
from hardware.lines import NoLines
from hardware.linux.files import read_int, read_scaled
from hardware.linux.storage import BlockStorage
from hardware.linux.thermal import believable
from hardware.signs import NoSigns
from hardware.speaker import NoSpeaker


class FixedThermometers:
    """One sensor that a test or a demo may set."""

    def __init__(self, celsius: float | None = 45.0, critical_c: float | None = 85.0) -> None:
        self.celsius, self.critical_c = celsius, critical_c

    def read(self) -> tuple[Temperature, ...]:
        return (Temperature("simulated", self.celsius, self.critical_c),)


class FileThermometers:
    """One sensor whose degrees a person or a test writes into a file.

    45 before there is one; a file that was there and is gone is a sensor that fell silent.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._was_there = file, False

    def read(self) -> tuple[Temperature, ...]:
        self._was_there = self._was_there or self._file.exists()
        if not self._was_there:
            return FixedThermometers().read()
        return (Temperature("simulated", believable(read_scaled(self._file, 1.0)), 85.0),)


class FileStorage:
    """The machine's real medium; a file may tell that so many percent of its life are used."""

    def __init__(self, file: Path | None) -> None:
        self._real, self._file = BlockStorage(Path("/")), file

    def read(self, folder: Path) -> StorageState:
        state = self._real.read(folder)
        life_pct = read_int(self._file) if self._file else None
        return state if life_pct is None else replace(state, life_used_pct=life_pct)


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


class NoFans:
    """A board without a fan."""

    def read(self) -> tuple[FanState, ...]:
        return ()


class NoWatchdogs:
    """A board without a watchdog."""

    def read(self) -> tuple[WatchdogState, ...]:
        return ()


class FixedSupplies:
    """Sources of power that a test may set."""

    def __init__(self, *supplies: Supply) -> None:
        self.supplies = supplies

    def read(self) -> tuple[Supply, ...]:
        return self.supplies


class NoClocks:
    """A board that tells nothing of its processor."""

    def read(self) -> ProcessorState:
        return ProcessorState()


class NoAccelerators:
    """A board without a chip for the detector."""

    def read(self) -> tuple[Accelerator, ...]:
        return ()


class NoCsiSensors:
    """A board without a camera on its ribbon."""

    def read(self) -> tuple[CsiSensor, ...]:
        return ()


def build(
    thermometers: Thermometers | None = None,
    power: FixedPower | None = None,
    supplies: FixedSupplies | None = None,
    lines_folder: Path | None = None,
) -> Board:
    """Return a simulated board, by default a healthy one; with lines if they have a folder.

    A file `temperature` in it holds the degrees its thermometer tells, `disk-life` the percent of
    the medium's life that are used.
    """
    return Board(
        identity=BoardIdentity(BoardKind.SIMULATED, "Simulated board"),
        thermometers=thermometers or _thermometers(lines_folder),
        power=power or FixedPower(),
        storage=FileStorage(lines_folder / "disk-life" if lines_folder else None),
        clock_chip=SimulatedClockChip(),
        fans=NoFans(),
        watchdogs=NoWatchdogs(),
        supplies=supplies or FixedSupplies(),
        processors=NoClocks(),
        accelerators=NoAccelerators(),
        csi_sensors=NoCsiSensors(),
        lines=FileLines(lines_folder) if lines_folder else NoLines(),
        speaker=FileSpeaker(lines_folder) if lines_folder else NoSpeaker(),
        signs=FileSigns(lines_folder) if lines_folder else NoSigns(),
    )


def _thermometers(folder: Path | None) -> Thermometers:
    return FileThermometers(folder / "temperature") if folder else FixedThermometers()
