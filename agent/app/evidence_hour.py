"""What an hour's record says of the box's evidence: read from the cameras' indexes. In the core.

Blocking: call it in a thread. What was told already is known by marks: `heads/CAMERA[/sub]` is the
run and number of the last head, `purges/CAMERA` the last purge record, `former/CAMERA` an offset.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from agent.buffer import former, journal
from agent.buffer.index import INDEX_FILE
from agent.buffer.journal import SignedPurge
from agent.buffer.reading import camera_folder
from agent.contract.evidence import BoxHour, HeadMark, HeadPlace, HeadsDigest, VideoHeads
from agent.core.errors import StorageError
from agent.core.sqlite import open_reader
from agent.evidence import chain_index, told_heads
from agent.evidence.told_heads import Place

T = TypeVar("T")

MOST_HEADS = 200  # of one chain; an hour has sixty
MOST_PURGES = 1_000  # an hour has six


@dataclass(slots=True)
class Hour:
    """What is to be told, and the marks that say so once it is."""

    heads: list[tuple[VideoHeads, Place]] = field(default_factory=list)
    purges: dict[str, list[SignedPurge]] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)

    def data(self, audit: str) -> BoxHour:
        """Return the record's data; `audit` is the audit chain's head."""
        return BoxHour(
            audit=audit,
            heads=tuple(_digest(told) for told, _ in self.heads),
            purges=journal.sum_up(self.purges),
        )


def gather(data_dir: Path, cameras: Sequence[str], marks: Mapping[str, str]) -> Hour:
    """Read what the center was not told yet. Raises `OSError`."""
    hour = Hour()
    left = former.folders_of_former(data_dir, set(cameras))
    for camera_id in [*cameras, *(folder.name for folder in left)]:
        index_file = camera_folder(data_dir, camera_id) / INDEX_FILE
        for stream in (chain_index.MAIN, chain_index.SUB):
            _take_heads(hour, index_file, camera_id, stream, marks)
        _take_purges(hour, index_file, camera_id, marks)
    for file in sorted((data_dir / former.RECORDS).glob("*.jsonl")):
        _take_former(hour, file, marks)
    return hour


def without_video(data_dir: Path, lists: Mapping[str, list[tuple[int, Place, Place]]]) -> list[int]:
    """Return the rows of those lists whose video is gone, of each camera."""
    gone: list[int] = []
    for camera_id, ranges in lists.items():
        folder = camera_folder(data_dir, camera_id)

        def read(
            db: sqlite3.Connection, ranges: list[tuple[int, Place, Place]] = ranges
        ) -> list[int]:
            return [row for row, *span in ranges if not told_heads.has_video(db, *span)]

        if folder.exists():
            gone += _read(folder / INDEX_FILE, read) or []
        else:
            gone += [row for row, *_ in ranges]
    return gone


def _take_heads(
    hour: Hour, index_file: Path, camera_id: str, stream: str, marks: Mapping[str, str]
) -> None:
    what = f"heads/{camera_id}" + ("" if stream == chain_index.MAIN else f"/{stream}")
    run_id, seq = (int(part) for part in marks.get(what, "0:-1").split(":"))

    def read(db: sqlite3.Connection) -> list[HeadMark]:
        return chain_index.heads_since(db, run_id, seq, MOST_HEADS, stream)

    if found := _read(index_file, read):
        told = VideoHeads(camera_id=camera_id, heads=tuple(found), stream=stream)
        hour.heads.append((told, (run_id, seq)))
        hour.marks[what] = f"{found[-1].run}:{found[-1].seq}"


def _take_purges(hour: Hour, index_file: Path, camera_id: str, marks: Mapping[str, str]) -> None:
    what = f"purges/{camera_id}"

    def read(db: sqlite3.Connection) -> list[SignedPurge]:
        return journal.purges_behind(db, marks.get(what, ""), MOST_PURGES)

    if found := _read(index_file, read):
        hour.purges.setdefault(camera_id, []).extend(found)
        hour.marks[what] = found[-1].mark


def _take_former(hour: Hour, file: Path, marks: Mapping[str, str]) -> None:
    """Take what a camera's folder left when it went, but for what was told before that."""
    what, camera_id = f"former/{file.stem}", file.stem
    found = former.records_behind(file, int(marks.get(what, "0")))
    mark = marks.get(f"purges/{camera_id}", "")
    last_told = next((n for n, (purge, _) in enumerate(found) if purge.mark == mark), -1)
    if left := found[last_told + 1 :][:MOST_PURGES]:
        hour.purges.setdefault(camera_id, []).extend(purge for purge, _ in left)
        hour.marks[what] = str(left[-1][1])


def _digest(told: VideoHeads) -> HeadsDigest:
    first, last = _place(told.heads[0]), _place(told.heads[-1])
    return HeadsDigest(told.camera_id, first, last, told.digest(), told.stream)


def _place(head: HeadMark) -> HeadPlace:
    return HeadPlace(head.run, head.seq, head.media_us)


def _read(index_file: Path, read: Callable[[sqlite3.Connection], T]) -> T | None:
    """Return what `read` finds in a camera's index; None while it has none."""
    try:
        with closing(open_reader(index_file)) as db:
            return read(db)
    except (StorageError, sqlite3.Error):
        return None
