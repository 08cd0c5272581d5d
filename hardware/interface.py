"""What any board can be asked: small Protocols, and frozen facts as answers.

The agent sees boards only through this module and `hardware.pick`. A value nobody can know is
`None`, never a guess: "not throttled" and "this kernel can't tell" are different answers.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


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
    """One sensor by its name (numbers move between boots). `critical_c`: the board stops itself."""

    name: str
    celsius: float | None
    critical_c: float | None = None


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
    source: str | None = None  # the file the answer came from


@dataclass(frozen=True, slots=True)
class StorageState:
    """The medium under one folder. `life_used_pct` is the worst the medium itself admits."""

    device: str | None = None
    model: str | None = None
    filesystem: str | None = None
    is_read_only: bool | None = None
    is_in_memory: bool | None = None
    life_used_pct: int | None = None


@dataclass(frozen=True, slots=True)
class ClockChipState:
    """Is there a clock that goes on without power? Without one a box boots in the past."""

    is_present: bool
    name: str | None = None


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


@dataclass(frozen=True, slots=True)
class Board:
    """One board: who it is, and its parts. Reading a part costs a few small file reads."""

    identity: BoardIdentity
    thermometers: Thermometers
    power: Power
    storage: Storage
    clock_chip: ClockChip
