"""A lamp made of a file: `lamp` in the folder holds 1 while it shines. A simulator."""

from contextlib import suppress
from pathlib import Path

from hardware.lamp import LampError


class FileLamp:
    """The lamp of the demo's board."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "lamp"

    def open(self) -> "FileLamp":
        return self

    def set(self, on: bool) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text("1" if on else "0")
        except OSError as error:
            raise LampError(f"The lamp can't be set: {error}.") from error

    def close(self) -> None:
        with suppress(OSError):
            self._file.unlink(missing_ok=True)
