"""The sightings of one camera on its disk: written by the worker, searched by everybody.

`sightings.db` beside the recordings. Bounded by age and by bytes; pictures go first. No native
library is needed to search, so the core may.
"""

from __future__ import annotations

import heapq
import sqlite3
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.core.sqlite import open_reader, open_writer
from agent.sightings.cells import cells_of_way, cells_of_zone
from agent.sightings.dating import Correction, Dating, forget_unused, number_of, redate
from agent.sightings.schema import MIGRATIONS, Transaction
from agent.sightings.words import BAGS, COLOURS, DIRECTIONS, SIZES, labels_called, onvif_type

SIGHTINGS_FILE = "sightings.db"
_PRUNE_ROWS = 250
_REDATED_AT_ONCE = 5_000  # the stream's thread waits for it

_GROUND = struct.Struct("<4iH")  # centimetres


@dataclass(frozen=True, slots=True)
class OnGround:
    """Where somebody stood first and last, in metres, and about how tall, where that is known."""

    came_m: tuple[float, float]
    left_m: tuple[float, float]
    height_m: float | None = None


@dataclass(frozen=True, slots=True)
class Sighting:
    """One track from its first to its last moment. Places are fractions of the picture.

    `way` holds foot points in the order of time; `height` is the region's; `speed_mps` (the middle
    one) and `ground` only where the camera is calibrated. `subject` is set where a camera's lost
    one was found by another (`agent.sightings.links`), with how likely that is. `begin_s` is the
    begin on the monotonic clock, `told_begin` what was told as the begin before it was re-dated.
    """

    begin: datetime
    end: datetime
    track_id: int
    label: str
    score: float
    height: float
    way: tuple[tuple[float, float], ...]
    upper: str = "unknown"
    lower: str = "unknown"
    bag: str = "unknown"
    hat: str = "unknown"
    direction: str = "still"
    speed_mps: float | None = None
    ground: OnGround | None = None
    model: str = ""
    jpeg: bytes = b""
    camera_id: str = ""
    number: int = 0
    subject: str = ""
    subject_certainty: float | None = None
    begin_s: float | None = None
    told_begin: datetime | None = None

    @property
    def onvif_type(self) -> str:
        """ONVIF's word for its class."""
        return onvif_type(self.label)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for. Empty means any; `in_zone` says whether a place lies in the zone."""

    label: str = ""
    upper: str = ""
    lower: str = ""
    bag: str = ""
    hat: str = ""
    size: str = ""
    direction: str = ""
    since: datetime | None = None
    until: datetime | None = None
    begins_us: tuple[int, ...] | None = None  # these tracks only, by when they were told to begin
    zone: tuple[tuple[float, float], ...] = ()
    limit: int = 50
    after_number: int = 0
    oldest_first: bool = False


class SightingStore:
    """Writes one camera's sightings. One owner."""

    def __init__(self, folder: Path, *, keep_days: float, max_bytes: int) -> None:
        """Open or make the file. Raises `StorageError`."""
        self._keep, self._max_bytes = timedelta(days=keep_days), max_bytes
        self._db = open_writer(folder / SIGHTINGS_FILE, MIGRATIONS)
        self._dated: tuple[Dating, int] | None = None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def add(self, sightings: Sequence[Sighting], dating: Dating | None = None) -> None:
        """Keep them, all at once; `dating` tells how their times came about.

        Raises `StorageError`.
        """
        with self._transaction():
            number = self._number_of(dating)
            self._dated = None  # not before it is on the disk
            for one in sightings:
                cursor = self._db.execute(
                    "INSERT INTO sightings (begin_us, lasts_ms, track, label, upper, lower, bag,"
                    " direction, height, score, cells, way, speed, model, hat, ground,"
                    " told_us, dating) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                    (*_row(one), number),
                )
                if one.jpeg:
                    self._db.execute(
                        "INSERT INTO thumbnails (id, jpeg) VALUES (?,?)",
                        (cursor.lastrowid, one.jpeg),
                    )
        if dating is not None and number is not None:
            self._dated = dating, number

    def redate(self, corrections: Sequence[Correction]) -> int:
        """Move some of what corrections of time concern, each row once for each.

        Return how many moves; 0 once all is done. Raises `StorageError`; then nothing has moved.
        """
        self._dated = None  # what it stands for may be another time now
        with self._transaction():
            return redate(self._db, corrections, _REDATED_AT_ONCE)

    def prune(self, now: datetime | None) -> int:
        """Delete what is too old, then what is too much: pictures first. Return how many rows.

        By age only at a `now` that can be trusted. What a wrong clock dated later than tomorrow is
        as old as what came after it.
        """
        deleted = 0
        with self._transaction():
            oldest_us = _micros(now - self._keep) if now else 0
            tomorrow_us = _micros(now + timedelta(days=1)) if now else 2**62
            for (number,) in self._db.execute(
                "SELECT id FROM sightings WHERE id <= (SELECT coalesce(max(id), 0) FROM sightings"
                " WHERE begin_us < ?) AND (begin_us < ? OR begin_us > ?) LIMIT ?",
                (oldest_us, oldest_us, tomorrow_us, _PRUNE_ROWS),
            ).fetchall():
                deleted += self._delete("thumbnails", number) + self._delete("sightings", number)
            while self._bytes() > self._max_bytes and (cut := self._cut()):
                deleted += cut
            if deleted:
                self._dated = None
                forget_unused(self._db)
        return deleted

    def _number_of(self, dating: Dating | None) -> int | None:
        if dating is None:
            return None
        if self._dated is not None and self._dated[0] == dating:
            return self._dated[1]
        return number_of(self._db, dating)

    def _cut(self) -> int:
        for table in ("thumbnails", "sightings"):
            cut = self._db.execute(
                f"DELETE FROM {table} WHERE id IN"  # noqa: S608 - a name of our own
                f" (SELECT id FROM {table} ORDER BY id LIMIT ?)",
                (_PRUNE_ROWS,),
            ).rowcount
            if cut:
                return cut
        return 0

    def _delete(self, table: str, number: int) -> int:
        return self._db.execute(
            f"DELETE FROM {table} WHERE id=?",  # noqa: S608 - a name of our own
            (number,),
        ).rowcount

    def _bytes(self) -> int:
        """Return the bytes in use; what was deleted is used again before the file grows."""
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _transaction(self) -> Transaction:
        return Transaction(self._db)


def search(
    folder: Path, wanted: Wanted, in_zone: Callable[[tuple[float, float]], bool] | None = None
) -> list[Sighting]:
    """Return a camera's sightings that fit, newest first. Raises `StorageError` without a file."""
    with closing(open_reader(folder / SIGHTINGS_FILE, MIGRATIONS)) as db:
        return list(_take(_fitting(db, wanted, folder.name), wanted.limit, in_zone))


def search_all(
    folders: Sequence[Path],
    wanted: Wanted,
    in_zone: Callable[[tuple[float, float]], bool] | None = None,
) -> list[Sighting]:
    """Search several cameras; the newest of all first. Those without a file yet have none."""
    found = []
    for folder in folders:
        if (folder / SIGHTINGS_FILE).exists():
            found.append(search(folder, wanted, in_zone))  # noqa: PERF401 - may raise midway
    merged = heapq.merge(*found, key=lambda one: one.begin, reverse=True)
    return [one for one, _ in zip(merged, range(wanted.limit), strict=False)]


def number_before(folder: Path, at: datetime) -> int:
    """Return the number of the last sighting that was over before `at`; 0 while there is none.

    They are numbered as they end, so from the newest back it is soon found.
    """
    if not (folder / SIGHTINGS_FILE).exists():
        return 0
    with closing(open_reader(folder / SIGHTINGS_FILE, MIGRATIONS)) as db:
        row = db.execute(
            "SELECT id FROM sightings WHERE begin_us + 1000 * lasts_ms < ?"
            " ORDER BY id DESC LIMIT 1",
            (_micros(at),),
        ).fetchone()
    return row["id"] if row else 0


def _fitting(db: sqlite3.Connection, wanted: Wanted, camera_id: str) -> Iterator[Sighting]:
    where, values = _conditions(wanted)
    # The cells are in the index: rows that were never near the zone are not even read.
    rows = db.execute(  # words of our own; what is wanted is bound
        "SELECT s.*, t.jpeg FROM sightings s LEFT JOIN thumbnails t USING (id)"  # noqa: S608
        + f" WHERE {' AND '.join(where)}"
        + (" ORDER BY id" if wanted.oldest_first else " ORDER BY begin_us DESC"),
        values,
    )
    return (_sighting(row, camera_id) for row in rows)


def _conditions(wanted: Wanted) -> tuple[list[str], list[object]]:
    labels = labels_called(wanted.label) if wanted.label else ()
    if not labels and (wanted.upper or wanted.lower or wanted.bag or wanted.hat):
        labels = ("person",)
    where, values = ["1"], list[object]()
    if labels:
        where.append(f"label IN ({','.join('?' * len(labels))})")
        values += labels
    for condition, value in _of_look(wanted):
        where.append(condition)
        values.append(value)
    if wanted.since is not None:
        where.append("begin_us >= ?")
        values.append(_micros(wanted.since))
    if wanted.until is not None:
        where.append("begin_us < ?")
        values.append(_micros(wanted.until))
    if wanted.begins_us is not None:
        where.append(f"coalesce(told_us, begin_us) IN ({','.join('?' * len(wanted.begins_us))})")
        values += wanted.begins_us
    if wanted.after_number:
        where.append("id > ?")
        values.append(wanted.after_number)
    if wanted.zone:
        where.append("cells & ? != 0")
        values.append(cells_of_zone(wanted.zone))
    return where, values


def _of_look(wanted: Wanted) -> Iterator[tuple[str, int]]:
    for column, words, word in (
        ("upper", COLOURS, wanted.upper),
        ("lower", COLOURS, wanted.lower),
        ("bag", BAGS, wanted.bag),
        ("hat", COLOURS, wanted.hat),
        ("direction", DIRECTIONS, wanted.direction),
    ):
        if word:
            yield f"{column} = ?", words.index(word)
    if wanted.size:
        least, below = SIZES[wanted.size]
        yield from (("height >= ?", least), ("height < ?", below))


def _take(
    sightings: Iterator[Sighting],
    limit: int,
    in_zone: Callable[[tuple[float, float]], bool] | None,
) -> Iterator[Sighting]:
    taken = 0
    for one in sightings:
        if in_zone is not None and not any(in_zone(place) for place in one.way):
            continue
        yield one
        taken += 1
        if taken >= limit:
            return


def _row(one: Sighting) -> tuple[object, ...]:
    way = bytes(min(255, max(0, round(v * 255))) for place in one.way for v in place)
    return (
        _micros(one.begin),
        round((one.end - one.begin).total_seconds() * 1000),
        one.track_id,
        one.label,
        COLOURS.index(one.upper),
        COLOURS.index(one.lower),
        BAGS.index(one.bag),
        DIRECTIONS.index(one.direction),
        round(one.height * 1000),
        round(one.score * 100),
        cells_of_way(one.way),
        way,
        None if one.speed_mps is None else round(one.speed_mps * 100),
        one.model,
        COLOURS.index(one.hat),
        None if one.ground is None else _packed(one.ground),
        None if one.told_begin is None else _micros(one.told_begin),
    )


def _packed(ground: OnGround) -> bytes:
    limit = 2**31 - 1
    places = (round(100 * value) for value in (*ground.came_m, *ground.left_m))
    height = round(100 * (ground.height_m or 0.0))
    return _GROUND.pack(*(max(-limit, min(limit, value)) for value in places), min(height, 65535))


def _unpacked(blob: bytes | None) -> OnGround | None:
    if blob is None:
        return None
    *places, height = (value / 100 for value in _GROUND.unpack(blob))
    return OnGround((places[0], places[1]), (places[2], places[3]), height or None)


def _sighting(row: sqlite3.Row, camera_id: str) -> Sighting:
    begin = _at(row["begin_us"])
    way = [value / 255 for value in row["way"]]
    return Sighting(
        begin=begin,
        end=begin + timedelta(milliseconds=row["lasts_ms"]),
        track_id=row["track"],
        label=row["label"],
        score=row["score"] / 100,
        height=row["height"] / 1000,
        way=tuple(zip(way[0::2], way[1::2], strict=True)),
        upper=COLOURS[row["upper"]],
        lower=COLOURS[row["lower"]],
        bag=BAGS[row["bag"]],
        direction=DIRECTIONS[row["direction"]],
        speed_mps=None if row["speed"] is None else row["speed"] / 100,
        hat=COLOURS[row["hat"]],
        ground=_unpacked(row["ground"]),
        model=row["model"] or "",
        jpeg=row["jpeg"] or b"",
        camera_id=camera_id,
        number=row["id"],
        told_begin=None if row["told_us"] is None else _at(row["told_us"]),
    )


def _at(value_us: int) -> datetime:
    return datetime.fromtimestamp(value_us / 1e6, UTC)


def _micros(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)
