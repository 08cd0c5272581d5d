"""Any Linux machine: what the kernel tells on every board; of power, throttling by heat alone."""

from pathlib import Path

from hardware.interface import Board, BoardIdentity, BoardKind, PowerState
from hardware.linux import device_tree, throttling
from hardware.linux.accelerators import PluggedAccelerators
from hardware.linux.alpha_signs import AlphaSigns
from hardware.linux.alsa import AlsaSpeaker
from hardware.linux.csi import RibbonCameras
from hardware.linux.fans import HwmonFans
from hardware.linux.files import read_text
from hardware.linux.gpio import GpioLines
from hardware.linux.leds import SysfsLamp
from hardware.linux.processors import CpuClocks
from hardware.linux.rtc import RealTimeClock
from hardware.linux.storage import BlockStorage
from hardware.linux.supplies import PowerSupplies
from hardware.linux.thermal import ThermalZones
from hardware.linux.watchdog import SysfsWatchdogs


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
        power=KernelPower(root),
        storage=BlockStorage(root),
        clock_chip=RealTimeClock(root),
        fans=HwmonFans(root),
        watchdogs=SysfsWatchdogs(root),
        supplies=PowerSupplies(root),
        processors=CpuClocks(root),
        accelerators=PluggedAccelerators(root),
        csi_sensors=RibbonCameras(root),
        lines=GpioLines(root),
        speaker=AlsaSpeaker(),
        signs=AlphaSigns(),
        lamp=SysfsLamp(root),
    )


class KernelPower:
    """A board that can't tell of its supply; the kernel knows when it slows the processor."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self) -> PowerState:
        throttled = throttling.held_back(self._root)
        return PowerState(
            throttled=throttled,
            throttled_before=throttling.held_back_before(self._root),
            source=None if throttled is None else "kernel cooling devices",
        )
