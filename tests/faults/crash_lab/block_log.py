"""What reached a medium, in order: writes with their bytes, and the flushes between them.

`log.index` has 16 bytes a record (offset, length; a flush has no length), so its size tells other
processes how far the log is; `log.data` has the written bytes.
"""

import os
import random
import struct
from dataclasses import dataclass
from pathlib import Path

_RECORD = struct.Struct("<QQ")
_INDEX, _DATA = "log.index", "log.data"
_SECTOR_BYTES = 512


class LogWriter:
    """The medium's side."""

    def __init__(self, folder: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._index = os.open(folder / _INDEX, flags, 0o600)
        self._data = os.open(folder / _DATA, flags, 0o600)

    def __enter__(self) -> "LogWriter":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._index)
        os.close(self._data)

    def write(self, offset: int, data: bytes) -> None:
        os.write(self._data, data)
        os.write(self._index, _RECORD.pack(offset, len(data)))

    def flush(self) -> None:
        os.write(self._index, _RECORD.pack(0, 0))


def length_of(folder: Path) -> int:
    """Return how many records a growing log has just now."""
    return (folder / _INDEX).stat().st_size // _RECORD.size


@dataclass(frozen=True, slots=True)
class CrashPoint:
    """A power cut between flush `flushes` and the next one.

    All that came before flush number `flushes` is on the medium. `tail_seed` draws what else is:
    any part of the writes behind it, the last of them torn; None is nothing of them.
    """

    flushes: int
    tail_seed: int | None = None


class BlockLog:
    """A finished log, up to record `end`."""

    def __init__(self, folder: Path, end: int) -> None:
        self._data = folder / _DATA
        content = (folder / _INDEX).read_bytes()[: end * _RECORD.size]
        self._spans = list(_RECORD.iter_unpack(content))
        self._places = [0]
        for _, length in self._spans:
            self._places.append(self._places[-1] + length)
        self._flushes = [n for n, (_, length) in enumerate(self._spans) if not length]
        self._flushes_before = [0]
        for _, length in self._spans:
            self._flushes_before.append(self._flushes_before[-1] + (not length))

    @property
    def flushes_total(self) -> int:
        return len(self._flushes)

    @property
    def written_bytes(self) -> int:
        return self._places[-1]

    def flushes_before(self, position: int) -> int:
        """Return how many flushes were done when the log had `position` records."""
        return self._flushes_before[min(position, len(self._spans))]

    def tail_length(self, flushes: int) -> int:
        """Return how many writes came between flush number `flushes` and the next."""
        start, stop = self._between(flushes)
        return stop - start

    def replay(self, image: Path, flushes_from: int, flushes_to: int) -> None:
        """Bring an image that has `flushes_from` flushes up to `flushes_to`."""
        start = self._between(flushes_from)[0]
        stop = self._between(flushes_to)[0]
        self._apply(image, [(n, None) for n in range(start, stop)])

    def tear(self, image: Path, point: CrashPoint) -> None:
        """Add what the point's seed lets through of the writes after its last flush."""
        if point.tail_seed is None:
            return
        chance = random.Random(f"{point.flushes}/{point.tail_seed}")
        written = [n for n in range(*self._between(point.flushes)) if self._spans[n][1]]
        if chance.random() < 0.5:  # in order up to a point, or any of them
            chosen = written[: chance.randint(0, len(written))]
        else:
            chosen = [n for n in written if chance.random() < 0.5]
        parts: list[tuple[int, int | None]] = [(n, None) for n in chosen]
        if parts:
            last = parts[-1][0]
            sectors = self._spans[last][1] // _SECTOR_BYTES
            parts[-1] = (last, chance.randint(0, sectors) * _SECTOR_BYTES)
        self._apply(image, parts)

    def _between(self, flushes: int) -> tuple[int, int]:
        """Return the records after flush number `flushes` and before the next one."""
        start = 0 if flushes == 0 else self._flushes[flushes - 1] + 1
        stop = self._flushes[flushes] if flushes < len(self._flushes) else len(self._spans)
        return start, stop

    def _apply(self, image: Path, parts: list[tuple[int, int | None]]) -> None:
        with self._data.open("rb") as data, image.open("r+b") as medium:
            for number, cut_bytes in parts:
                offset, length = self._spans[number]
                data.seek(self._places[number])
                medium.seek(offset)
                medium.write(data.read(length if cut_bytes is None else cut_bytes))
