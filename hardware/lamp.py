"""The one small light that tells a person at the cabinet how the box does."""

from typing import Protocol


class LampError(Exception):
    """The lamp can't be had or no longer answers; the text says why."""


class OpenLamp(Protocol):
    def set(self, on: bool) -> None:
        """Switch it. Raises `LampError`."""
        ...

    def close(self) -> None:
        """Give it back to whatever blinked it before."""
        ...


class Lamp(Protocol):
    def open(self) -> OpenLamp | None:
        """Take it; None where the board has none. Raises `LampError`."""
        ...


class NoLamp:
    """A board without one."""

    def open(self) -> None:
        return None
