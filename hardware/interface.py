"""What any board can be asked: small Protocols, and frozen facts as answers.

The agent sees boards only through this module and `hardware.pick`. A value nobody can know is
`None`, never a guess: "not throttled" and "this kernel can't tell" are different answers.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from hardware.lamp import Lamp, NoLamp
from hardware.lines import Lines
from hardware.signs import NoSigns, Signs
from hardware.speaker import NoSpeaker, Speaker


class BoardKind(StrEnum):
    RASPBERRY_PI = "raspberry-pi"
    JETSON = "jetson"
    GENERIC_LINUX = "generic-linux"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True)
class BoardIdentity:
    """Which board this is. `is_simulated` must be shown wherever its figures are shown."""

    kind: BoardKind
    model: str | None = None
    serial: str | None = None
    compatible: tuple[str, ...] = ()

    @property
    def is_simulated(self) -> bool:
        """Whether the figures of this board are made up."""
        return self.kind is BoardKind.SIMULATED


@dataclass(frozen=True, slots=True)
class Temperature:
    """One sensor by its name (numbers move between boots).

    `critical_c`: the board stops itself. `slows_c`: it slows itself, where its maker says so.
    `may_sleep`: it tells nothing while the part it sits in is switched off.
    """

    name: str
    celsius: float | None
    critical_c: float | None = None
    slows_c: float | None = None
    may_sleep: bool = False


@dataclass(frozen=True, slots=True)
class Rail:
    """One measured supply line; `over_current` when it passes its critical limit."""

    name: str
    volts: float | None = None
    amps: float | None = None
    over_current: bool | None = None


@dataclass(frozen=True, slots=True)
class PowerState:
    """Is the supply good, and is the processor held back? `…_before`: at some time since boot."""

    under_voltage: bool | None = None
    under_voltage_before: bool | None = None
    throttled: bool | None = None
    throttled_before: bool | None = None
    frequency_capped: bool | None = None
    soft_limited: bool | None = None
    rails: tuple[Rail, ...] = ()
    mode: str | None = None  # the board's own name of its power mode
    source: str | None = None  # the file the answer came from


class Wear(StrEnum):
    """How much of its spare blocks a medium has used up, in its own words."""

    NORMAL = "normal"
    WARNING = "warning"
    URGENT = "urgent"


class Medium(StrEnum):
    """What kind of disk it is, as far as writing wears it out."""

    CARD = "card"  # SD, eMMC
    SSD = "ssd"
    ROTATING = "rotating"


@dataclass(frozen=True, slots=True)
class StorageState:
    """The medium under one folder. `life_used_pct` is the worst the medium itself admits.

    `written_bytes` counts since the boot, what all partitions of the disk were given.
    """

    device: str | None = None
    model: str | None = None
    filesystem: str | None = None
    is_read_only: bool | None = None
    is_in_memory: bool | None = None
    life_used_pct: int | None = None
    wear: Wear | None = None
    is_failing: bool | None = None
    written_bytes: int | None = None
    medium: Medium | None = None


@dataclass(frozen=True, slots=True)
class ClockChipState:
    """Is there a clock that goes on without power? Without one a box boots in the past.

    `epoch_s`: what it tells, in seconds since 1970. One without a battery (a Raspberry Pi 5 comes
    so) begins at 0 again.
    """

    is_present: bool
    name: str | None = None
    epoch_s: int | None = None


@dataclass(frozen=True, slots=True)
class FanState:
    """One fan. `rpm` is None where nothing counts its turns; `duty_pct` is what it is told."""

    name: str
    rpm: int | None = None
    duty_pct: int | None = None


@dataclass(frozen=True, slots=True)
class WatchdogState:
    """One hardware watchdog. `is_armed`: it will reset the board when nobody feeds it in time."""

    name: str
    is_armed: bool | None = None
    timeout_s: int | None = None
    time_left_s: int | None = None
    caused_last_reset: bool | None = None


class SupplyKind(StrEnum):
    MAINS = "mains"
    BATTERY = "battery"
    UPS = "ups"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Supply:
    """One source of power that the kernel knows: mains, a battery, a UPS."""

    name: str
    kind: SupplyKind
    is_online: bool | None = None
    charge_pct: int | None = None
    is_discharging: bool | None = None


@dataclass(frozen=True, slots=True)
class ProcessorState:
    """How fast the chips run and how busy a GPU is. Clocks of cores: the fastest one's.

    `memory_mhz` is the memory controller's clock.
    """

    cpu_mhz: int | None = None
    cpu_max_mhz: int | None = None
    gpu_load_pct: float | None = None
    gpu_mhz: int | None = None
    gpu_max_mhz: int | None = None
    memory_mhz: int | None = None


class AcceleratorKind(StrEnum):
    EDGE_TPU_USB = "edge-tpu-usb"
    EDGE_TPU_PCIE = "edge-tpu-pcie"
    HAILO = "hailo"
    NVIDIA_GPU = "nvidia-gpu"


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One chip that could run a detector. Whether its runtime works, only a trial tells."""

    kind: AcceleratorKind
    name: str
    device: str | None = None


@dataclass(frozen=True, slots=True)
class CsiSensor:
    """One camera sensor on the board's ribbon: its chip, and its bus and address."""

    chip: str
    address: str


class Thermometers(Protocol):
    def read(self) -> tuple[Temperature, ...]:
        """Return every sensor there is, those that are switched off with `celsius=None`."""
        ...


class Power(Protocol):
    def read(self) -> PowerState:
        """Return what the board says of its supply and of throttling, right now."""
        ...


class Storage(Protocol):
    def read(self, folder: Path) -> StorageState:
        """Return what is known of the medium that holds `folder`."""
        ...


class ClockChip(Protocol):
    def read(self) -> ClockChipState:
        """Say whether a real-time clock is there."""
        ...


class Fans(Protocol):
    def read(self) -> tuple[FanState, ...]:
        """Return every fan the kernel knows; an empty answer is no proof that none turns."""
        ...


class Watchdogs(Protocol):
    def read(self) -> tuple[WatchdogState, ...]:
        """Return every hardware watchdog. Nothing is armed or fed by asking."""
        ...


class Supplies(Protocol):
    def read(self) -> tuple[Supply, ...]:
        """Return the sources of power the kernel knows."""
        ...


class Processors(Protocol):
    def read(self) -> ProcessorState:
        """Return clocks and load right now; what shows none is unknown."""
        ...


class Accelerators(Protocol):
    def read(self) -> tuple[Accelerator, ...]:
        """Return the chips that are plugged in."""
        ...


class CsiSensors(Protocol):
    def read(self) -> tuple[CsiSensor, ...]:
        """Return the camera sensors the kernel found; whether they give pictures, a trial tells."""
        ...


@dataclass(frozen=True, slots=True)
class Board:
    """One board: who it is, and its parts. Reading a part costs a few small file reads."""

    identity: BoardIdentity
    thermometers: Thermometers
    power: Power
    storage: Storage
    clock_chip: ClockChip
    fans: Fans
    watchdogs: Watchdogs
    supplies: Supplies
    processors: Processors
    accelerators: Accelerators
    csi_sensors: CsiSensors
    lines: Lines
    speaker: Speaker = field(default_factory=NoSpeaker)
    signs: Signs = field(default_factory=NoSigns)
    lamp: Lamp = field(default_factory=NoLamp)
