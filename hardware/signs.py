"""Signs that show a line of text."""

from typing import Protocol


class SignError(Exception):
    """The sign can't be reached, or takes nothing."""


class Signs(Protocol):
    """Whatever signs a board can reach."""

    def show(self, address: str, text: str) -> None:
        """Show the text on the sign at `address`; "" clears it. Raises `SignError`."""
        ...


class NoSigns:
    """A board that reaches none."""

    def show(self, address: str, text: str) -> None:
        raise SignError(f"This board reaches no sign at `{address}` for {len(text)} letters.")
