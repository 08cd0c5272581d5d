"""A speaker and signs made of files: how long somebody spoke and how loud, and what is shown.

A simulator. What is said is not kept, as little as on a true board.
"""

from array import array
from pathlib import Path

from hardware.signs import SignError
from hardware.speaker import OpenSpeaker, SpeakerError

_HZ = 8_000


class FileSpeaker:
    """The file `speaker` in the folder holds the seconds heard so far, and the loudest sample."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "speaker"

    def open(self) -> OpenSpeaker:
        return _Heard(self._file)


class _Heard:
    def __init__(self, file: Path) -> None:
        self._file, self._samples, self._loudest = file, 0, 0

    def write(self, samples: bytes) -> None:
        heard = array("h", samples)
        self._samples += len(heard)
        self._loudest = max(self._loudest, max(map(abs, heard), default=0))
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text(f"{self._samples / _HZ:.2f} s, loudest {self._loudest}\n")
        except OSError as error:
            raise SpeakerError(f"The speaker takes nothing: {error}.") from error

    def close(self) -> None:
        """Nothing is held."""


class FileSigns:
    """A sign is the file of its address in the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def show(self, address: str, text: str) -> None:
        if "/" in address or address.startswith("."):
            raise SignError(f"`{address}` can't be the name of a simulated sign.")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / address).write_text(text)
        except OSError as error:
            raise SignError(f"The sign `{address}` can't be written: {error}.") from error
