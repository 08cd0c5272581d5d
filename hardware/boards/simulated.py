"""The board of the demo. It says what it is wherever its name is shown, and never invents a fault.

Storage is the real medium of the machine, because the recordings really go there.
"""

from pathlib import Path

from hardware.boards.simulated_dials import Dials
from hardware.boards.simulated_lamp import FileLamp
from hardware.boards.simulated_lines import FileLines
from hardware.boards.simulated_voice import FileSigns, FileSpeaker
from hardware.interface import (
    Accelerator,
    Board,
    BoardIdentity,
    BoardKind,
    CsiSensor,
    ProcessorState,
    WatchdogState,
)
from hardware.lamp import NoLamp
from hardware.lines import NoLines
from hardware.signs import NoSigns
from hardware.speaker import NoSpeaker


class NoWatchdogs:
    """A board without a watchdog."""

    def read(self) -> tuple[WatchdogState, ...]:
        return ()


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


def build(lines_folder: Path | None = None) -> Board:
    """Return a simulated board, by default a healthy one; with lines if they have a folder.

    Files in it set what its sensors tell: see `simulated_dials`.
    """
    dials = Dials(lines_folder)
    return Board(
        identity=BoardIdentity(BoardKind.SIMULATED, "Simulated board"),
        thermometers=dials.thermometers,
        power=dials.power,
        storage=dials.storage,
        clock_chip=dials.clock_chip,
        fans=dials.fans,
        watchdogs=NoWatchdogs(),
        supplies=dials.supplies,
        processors=NoClocks(),
        accelerators=NoAccelerators(),
        csi_sensors=NoCsiSensors(),
        lines=FileLines(lines_folder) if lines_folder else NoLines(),
        speaker=FileSpeaker(lines_folder) if lines_folder else NoSpeaker(),
        signs=FileSigns(lines_folder) if lines_folder else NoSigns(),
        lamp=FileLamp(lines_folder) if lines_folder else NoLamp(),
    )
