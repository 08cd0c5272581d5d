"""Digital inputs and outputs of a pole: the emergency bell, the door, a siren, a light.

A line is named as its board names it: `"GPIO17"`, or by chip and offset, `"pinctrl-bcm2711:17"`
(chips by label: numbers move between boots and kernels).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class LineError(Exception):
    """A line can't be had or no longer answers; the text says which and why."""


class Bias(StrEnum):
    """What holds an input that nothing drives."""

    AS_IS = "as-is"
    PULL_UP = "pull-up"
    PULL_DOWN = "pull-down"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class LineInfo:
    """One line the board has. `used_by`: who holds it now."""

    chip: str
    offset: int
    name: str | None = None
    used_by: str | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """A change of an input, `age_s` seconds before it was handed out."""

    is_active: bool
    age_s: float


class InputLine(Protocol):
    def read(self) -> bool:
        """Return whether the input is active now. Raises `LineError`."""
        ...

    def wait(self, timeout_s: float) -> Sequence[Edge]:
        """Block until the input changes, at most `timeout_s`. Raises `LineError`."""
        ...

    def close(self) -> None:
        """Give the line back."""
        ...


class OutputLine(Protocol):
    def set(self, active: bool) -> None:
        """Switch the output. Raises `LineError`."""
        ...

    def close(self) -> None:
        """Switch to the safe state and give the line back."""
        ...


class Lines(Protocol):
    """All lines of a board."""

    def list(self) -> tuple[LineInfo, ...]:
        """Return the lines there are; () where the board has none or can't be asked."""
        ...

    def open_input(self, name: str, *, bias: Bias = Bias.AS_IS, active_low: bool) -> InputLine:
        """Take a line as input. Raises `LineError`."""
        ...

    def open_output(self, name: str, *, safe: bool, active_low: bool) -> OutputLine:
        """Take a line as output, at once in its safe state. Raises `LineError`."""
        ...


class NoLines:
    """A board without digital lines."""

    def list(self) -> tuple[LineInfo, ...]:
        return ()

    def open_input(self, name: str, **_: object) -> InputLine:
        raise LineError(f"This board has no line `{name}`: it has no digital lines at all.")

    def open_output(self, name: str, **_: object) -> OutputLine:
        raise LineError(f"This board has no line `{name}`: it has no digital lines at all.")
