"""Any Linux machine: what the kernel tells on every board, nothing of power."""

from pathlib import Path

from hardware.interface import Board, BoardIdentity, BoardKind, PowerState
from hardware.linux import device_tree
from hardware.linux.files import read_text
from hardware.linux.rtc import RealTimeClock
from hardware.linux.storage import BlockStorage
from hardware.linux.thermal import ThermalZones


def build(root: Path) -> Board:
    """Return the board under `root`; x86 machines carry their name in DMI."""
    model = device_tree.model(root) or read_text(root / "sys/class/dmi/id/product_name")
    return Board(
        identity=BoardIdentity(
            BoardKind.GENERIC_LINUX,
            model,
            device_tree.serial(root),
            device_tree.compatible(root),
        ),
        thermometers=ThermalZones(root),
        power=UnknownPower(),
        storage=BlockStorage(root),
        clock_chip=RealTimeClock(root),
    )


class UnknownPower:
    """A board that can't tell."""

    def read(self) -> PowerState:
        return PowerState()
