"""Digital lines of the kernel's GPIO character devices (uAPI v2), through the `gpiod` library.

Not yet tried on a board: no machine of ours has a GPIO chip, and its kernel no simulated one. The
tests lead the library's system calls to a stand-in of the kernel's side.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import gpiod
from gpiod.line import Bias as GpiodBias
from gpiod.line import Direction, Value
from gpiod.line import Edge as GpiodEdge

from hardware.lines import Bias, Edge, InputLine, LineError, LineInfo, OutputLine

_CONSUMER = "poleside"
_SILENT = (OSError, gpiod.RequestReleasedError)  # the chip is gone; the line was given back
_BIAS = {
    Bias.AS_IS: GpiodBias.AS_IS,
    Bias.PULL_UP: GpiodBias.PULL_UP,
    Bias.PULL_DOWN: GpiodBias.PULL_DOWN,
    Bias.NONE: GpiodBias.DISABLED,
}


class GpioLines:
    """The lines of all GPIO chips under `root`/dev."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "dev"

    def list(self) -> tuple[LineInfo, ...]:
        return tuple(self._found())

    def open_input(self, name: str, *, bias: Bias = Bias.AS_IS, active_low: bool) -> InputLine:
        settings = gpiod.LineSettings(
            direction=Direction.INPUT,
            edge_detection=GpiodEdge.BOTH,
            bias=_BIAS[bias],
            active_low=active_low,
        )
        return _Input(name, *self._request(name, settings))

    def open_output(self, name: str, *, safe: bool, active_low: bool) -> OutputLine:
        settings = gpiod.LineSettings(
            direction=Direction.OUTPUT, active_low=active_low, output_value=_value(safe)
        )
        return _Output(name, *self._request(name, settings), safe=safe)

    def _request(self, name: str, settings: gpiod.LineSettings) -> tuple[gpiod.LineRequest, int]:
        line = self._find(name)
        if line.used_by is not None:
            raise LineError(f"Line `{name}` is in use by `{line.used_by}`.")
        try:
            with closing(gpiod.Chip(str(self._path_of(line.chip)))) as chip:
                return chip.request_lines({line.offset: settings}, _CONSUMER), line.offset
        except OSError as error:
            raise LineError(f"Line `{name}` can't be had: {error.strerror or error}.") from error

    def _find(self, name: str) -> LineInfo:
        """Return the line called `name`, or at "chip label:offset". Raises `LineError`."""
        found = [
            line for line in self._found() if name in (line.name, f"{line.chip}:{line.offset}")
        ]
        if len(found) == 1:
            return found[0]
        problem = "is not there" if not found else "is there more than once: name chip and offset"
        raise LineError(f"Line `{name}` {problem}; `poleside box lines` lists what there is.")

    def _path_of(self, label: str) -> Path:
        return next(path for path, found in self._chips() if found.label == label)

    def _chips(self) -> Iterator[tuple[Path, gpiod.ChipInfo]]:
        for path in sorted(self._folder.glob("gpiochip*")):
            if not gpiod.is_gpiochip_device(str(path)):
                continue
            try:
                with closing(gpiod.Chip(str(path))) as chip:
                    yield path, chip.get_info()
            except OSError:
                continue

    def _found(self) -> Iterator[LineInfo]:
        for path, info in self._chips():
            try:
                with closing(gpiod.Chip(str(path))) as chip:
                    for offset in range(info.num_lines):
                        line = chip.get_line_info(offset)
                        used_by = (line.consumer or "the kernel") if line.used else None
                        yield LineInfo(info.label, offset, line.name or None, used_by)
            except OSError:
                continue


class _Input:
    def __init__(self, name: str, request: gpiod.LineRequest, offset: int) -> None:
        self._name, self._request, self._offset = name, request, offset

    def read(self) -> bool:
        try:
            return self._request.get_value(self._offset) is Value.ACTIVE
        except _SILENT as error:
            raise _silent(self._name, error) from error

    def wait(self, timeout_s: float) -> Sequence[Edge]:
        try:
            if not self._request.wait_edge_events(timeout_s):
                return ()
            events = self._request.read_edge_events()
        except _SILENT as error:
            raise _silent(self._name, error) from error
        now_ns = time.monotonic_ns()  # the kernel stamps edges on this clock
        return [
            Edge(
                event.event_type is event.Type.RISING_EDGE,
                max(0.0, (now_ns - event.timestamp_ns) * 1e-9),
            )
            for event in events
        ]

    def close(self) -> None:
        self._request.release()


class _Output:
    def __init__(self, name: str, request: gpiod.LineRequest, offset: int, *, safe: bool) -> None:
        self._name, self._request, self._offset, self._safe = name, request, offset, safe

    def set(self, active: bool) -> None:
        try:
            self._request.set_value(self._offset, _value(active))
        except _SILENT as error:
            raise _silent(self._name, error) from error

    def close(self) -> None:
        with suppress(LineError):  # a chip that is gone has nothing to be made safe
            self.set(self._safe)
        self._request.release()


def _value(active: bool) -> Value:
    return Value.ACTIVE if active else Value.INACTIVE


def _silent(name: str, error: Exception) -> LineError:
    why = error.strerror if isinstance(error, OSError) else None
    return LineError(f"Line `{name}` no longer answers: {why or error}.")
