"""Digital lines made of files, so that a demo, a test or a person can press the bell.

Line `bell` is the file `bell` in the folder: "1" is active. An output writes its file. A simulator:
`LineInfo.chip` says so.
"""

import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hardware.lines import Bias, Edge, InputLine, LineError, LineInfo, OutputLine

CHIP = "simulated"
_LOOK_EVERY_S = 0.01


class FileLines:
    """The files of one folder as lines; inputs and outputs are made when first opened."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def list(self) -> tuple[LineInfo, ...]:
        names = sorted(file.name for file in self._folder.glob("*") if file.is_file())
        return tuple(LineInfo(CHIP, offset, name) for offset, name in enumerate(names))

    def open_input(self, name: str, *, bias: Bias = Bias.AS_IS, active_low: bool) -> InputLine:  # noqa: ARG002  a file needs no bias
        return _FileInput(self._file(name), active_low=active_low)

    def open_output(self, name: str, *, safe: bool, active_low: bool) -> OutputLine:
        return _FileOutput(self._file(name), safe=safe, active_low=active_low)

    def _file(self, name: str) -> Path:
        if "/" in name or name.startswith("."):
            raise LineError(f"`{name}` can't be the name of a line.")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LineError(f"Line `{name}` can't be had: {error}.") from error
        return self._folder / name


class _FileInput:
    def __init__(self, file: Path, *, active_low: bool) -> None:
        self._file, self._active_low = file, active_low
        self._closed = threading.Event()
        if not file.exists():
            _write(file, active=False, active_low=active_low)
        self._was = self.read()

    def read(self) -> bool:
        try:
            return (self._file.read_text().strip() == "1") is not self._active_low
        except OSError as error:
            raise LineError(f"Line `{self._file.name}` no longer answers: {error}.") from error

    def wait(self, timeout_s: float) -> Sequence[Edge]:
        for _ in range(max(1, round(timeout_s / _LOOK_EVERY_S))):
            now = self.read()
            if now is not self._was:
                self._was = now
                return (Edge(now, 0.0),)
            if self._closed.wait(_LOOK_EVERY_S):
                break
        return ()

    def close(self) -> None:
        self._closed.set()


class _FileOutput:
    def __init__(self, file: Path, *, safe: bool, active_low: bool) -> None:
        self._file, self._safe, self._active_low = file, safe, active_low
        self.set(safe)

    def set(self, active: bool) -> None:
        _write(self._file, active=active, active_low=self._active_low)

    def close(self) -> None:
        with suppress(LineError):
            self.set(self._safe)


def _write(file: Path, *, active: bool, active_low: bool) -> None:
    try:
        file.write_text("1" if active is not active_low else "0")
    except OSError as error:
        raise LineError(f"Line `{file.name}` can't be written: {error}.") from error
