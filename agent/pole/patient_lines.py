"""A board's lines, asked with a limit of time: a hanging bus costs its line and holds up nobody.

outputs, inputs (event loop) -> here -> `hardware`. A line whose last call has not come back is lost
until it does. Waiting for edges is done in threads of its own, so it goes straight through.
"""

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from agent.core.patience import Patience
from hardware.lines import Bias, Edge, InputLine, LineError, LineInfo, Lines, OutputLine

PATIENCE_S = 0.5

Answer = TypeVar("Answer")
Line = TypeVar("Line", InputLine, OutputLine)


class PatientLines:
    """Another board's lines with patience. Not thread-safe: one owner."""

    def __init__(self, lines: Lines, patience_s: float = PATIENCE_S) -> None:
        self._lines, self._patience = lines, Patience(patience_s)

    def list(self) -> tuple[LineInfo, ...]:
        return self.ask("list", self._lines.list)

    def open_input(self, name: str, *, bias: Bias = Bias.AS_IS, active_low: bool) -> InputLine:
        def opened() -> InputLine:
            return self._lines.open_input(name, bias=bias, active_low=active_low)

        return _PatientInput(self, name, self._open(name, opened))

    def open_output(self, name: str, *, safe: bool, active_low: bool) -> OutputLine:
        def opened() -> OutputLine:
            return self._lines.open_output(name, safe=safe, active_low=active_low)

        return _PatientOutput(self, name, self._open(name, opened))

    def ask(self, name: str, question: Callable[[], Answer]) -> Answer:
        """Return what a call about line `name` returns; raises `LineError`, also for no answer."""

        def answered() -> tuple[Answer | LineError]:
            try:
                return (question(),)
            except LineError as error:
                return (error,)

        answer = self._patience.ask(f"line {name}", answered, None)
        if answer is None:
            raise LineError(f"Line `{name}` does not answer.")
        if isinstance(answer[0], LineError):
            raise answer[0]
        return answer[0]

    def _open(self, name: str, opened: Callable[[], Line]) -> Line:
        """Open a line; one that opens after nobody waits any longer is given back at once."""
        lock, late = threading.Lock(), threading.Event()
        found: list[Line] = []

        def open_it() -> None:
            line = opened()
            with lock:
                found.append(line)
                if late.is_set():
                    line.close()

        try:
            self.ask(name, open_it)
        except LineError:
            with lock:
                late.set()
                for line in found:
                    line.close()
            raise
        return found[0]


class _PatientInput:
    def __init__(self, lines: PatientLines, name: str, line: InputLine) -> None:
        self._lines, self._name, self._line = lines, name, line

    def read(self) -> bool:
        return self._lines.ask(self._name, self._line.read)

    def wait(self, timeout_s: float) -> Sequence[Edge]:
        return self._line.wait(timeout_s)

    def close(self) -> None:
        self._line.close()


class _PatientOutput:
    def __init__(self, lines: PatientLines, name: str, line: OutputLine) -> None:
        self._lines, self._name, self._line = lines, name, line

    def set(self, active: bool) -> None:
        self._lines.ask(self._name, lambda: self._line.set(active))

    def close(self) -> None:
        self._lines.ask(self._name, self._line.close)
