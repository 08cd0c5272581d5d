"""What files alone tell of a recording, should the index be lost: stream and run, and its start.

A file keeps the name it was begun with. When a correction of time moves what a boot has recorded,
`redated.json` beside the index says by how much the names of its runs are off.
"""

import os
import re
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import Connection

import msgspec
from msgspec.structs import replace

from agent.core.whole_file import write_whole

REDATED_FILE = "redated.json"
_NAME = re.compile(r"(?P<stream>main|sub)-(?P<run>\d{6,})-(?P<clock>\d{9})(?:-k)?(?:\.open)?\.mp4")
_MS_US = 1000  # names know no more
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Redated(msgspec.Struct, frozen=True, array_like=True):
    """Names of this run from `first_us` to `last_us` are off: add `shift_us`."""

    run_id: int
    first_us: int
    last_us: int
    shift_us: int


class Redatings:
    """All of a camera's redatings, for questions about many files."""

    def __init__(self, known: list[Redated]) -> None:
        self._known = sorted(known, key=lambda one: (one.run_id, one.first_us))
        self._firsts = [(one.run_id, one.first_us) for one in self._known]

    def start(self, run_id: int, named: datetime) -> datetime:
        """Return when a segment that is named so really began."""
        named_us = _micros(named)
        at = bisect_right(self._firsts, (run_id, named_us)) - 1
        if at < 0:
            return named
        found = self._known[at]
        if found.run_id != run_id or named_us > found.last_us:
            return named
        return named + timedelta(microseconds=found.shift_us)


def redatings(folder: Path) -> Redatings:
    """Return what is known of a camera's folder; nothing where nothing was ever re-dated."""
    return Redatings(_read(folder))


def note_redated(db: Connection, folder: Path, boot_id: str) -> None:
    """Keep how far the names of this boot's segments are off; called before the commit.

    Should the power fail between the two, a lost index is made anew with the true time all the
    same. Raises `OSError`.
    """
    runs = [row[0] for row in db.execute("SELECT run_id FROM runs WHERE boot_id = ?", (boot_id,))]
    known = [one for one in _read(folder) if one.run_id not in set(runs)]
    for run_id in runs:
        known += _of_run(db, run_id)
    write_whole(folder / REDATED_FILE, msgspec.json.encode(known))


def forget_redated(folder: Path, before_run: int) -> None:
    """Drop what is said of runs without a file. Raises `OSError`."""
    known = _read(folder)
    left = [one for one in known if one.run_id >= before_run]
    if left != known:
        write_whole(folder / REDATED_FILE, msgspec.json.encode(left))


def named_start(relative: str) -> tuple[int, datetime] | None:
    """Return (run, start) as a segment's path tells them: `video/DAY/HOUR/STREAM-RUN-CLOCK.mp4`."""
    parts = relative.split("/")
    name = _NAME.fullmatch(parts[-1])
    if name is None or len(parts) != 4:
        return None
    try:
        start = datetime.strptime(f"{parts[1]} {name['clock']}000Z", "%Y-%m-%d %H%M%S%f%z")
    except ValueError:
        return None
    return int(name["run"]), start


def files_by_run(folder: Path) -> Iterator[tuple[int, str]]:
    """Yield (run, path below the camera's folder) of each segment file; quick for many."""
    for hour, _, names in os.walk(folder / "video"):
        base = os.path.relpath(hour, folder)
        for name in names:
            if found := _NAME.fullmatch(name):
                yield int(found["run"]), f"{base}/{name}"


def stream_of(relative: str) -> str:
    """Return the stream that a segment's file name begins with."""
    return relative.rpartition("/")[2].partition("-")[0]


def _of_run(db: Connection, run_id: int) -> list[Redated]:
    """Return what is off in a run: spans of names that are off by the same.

    Names from the newest start on may be given again once the clock was set back: those are told
    one by one.
    """
    rows = db.execute("SELECT path, start_utc_us FROM segments WHERE run_id = ?", (run_id,))
    starts = [(_micros(named[1]), us) for path, us in rows if (named := named_start(path))]
    newest_us = max((us for _, us in starts), default=0) - _MS_US
    found: list[Redated] = []
    is_on = False  # the name before belongs to the last span
    for named_us, start_us in sorted(starts):
        off_us = start_us - named_us
        if 0 <= off_us < _MS_US:
            is_on = False
        elif is_on and named_us < newest_us and abs(off_us - found[-1].shift_us) < _MS_US:
            found[-1] = replace(found[-1], last_us=named_us)
        else:
            found.append(Redated(run_id, named_us, named_us, off_us))
            is_on = True
    return found


def _read(folder: Path) -> list[Redated]:
    try:
        return msgspec.json.decode((folder / REDATED_FILE).read_bytes(), type=list[Redated])
    except (FileNotFoundError, msgspec.MsgspecError):
        return []


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
