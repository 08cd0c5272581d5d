"""The box's own loudspeaker."""

from typing import Protocol


class SpeakerError(Exception):
    """The speaker can't be had, or no longer takes anything."""


class OpenSpeaker(Protocol):
    """A speaker that is spoken through now."""

    def write(self, samples: bytes) -> None:
        """Let 16-bit mono samples of 8 kHz be heard. Raises `SpeakerError`."""
        ...

    def close(self) -> None:
        """Be silent and give it back."""
        ...


class Speaker(Protocol):
    """A board's speaker; whether one hangs there, only a trial tells."""

    def open(self) -> OpenSpeaker:
        """Take it. Raises `SpeakerError`."""
        ...


class NoSpeaker:
    """A board without a speaker."""

    def open(self) -> OpenSpeaker:
        raise SpeakerError("This board has no speaker.")
