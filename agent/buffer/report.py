"""What `poleside buffer` tells: read beside a running worker, or on a disk taken from another."""

import os
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from sqlite3 import Connection

from msgspec import Struct

from agent.buffer import locks
from agent.buffer.due import due
from agent.buffer.index import DUPLICATE, INDEX_FILE, from_micros, micros
from agent.buffer.locks import Lock, LockKind
from agent.buffer.medium import mount_of, read_id
from agent.buffer.named_times import stream_of
from agent.buffer.reading import open_index_reader
from agent.buffer.retention import state_of
from agent.buffer.trusted_time import trusted_now
from agent.core.clock import Clock, boot_id
from agent.core.errors import StorageError
from agent.settings.model import BufferSettings

_SIGNS = (INDEX_FILE, "video", DUPLICATE)  # of recordings, also where the index is lost
_STAGED = "path LIKE 'staged/%'"


class DiskStatus(Struct, frozen=True, kw_only=True):
    """The file system under the recordings."""

    mount: str
    medium_id: str | None
    free_bytes: int
    total_bytes: int
    free_inodes: int


class Tier(Struct, frozen=True, kw_only=True):
    """What is kept of one stream in one form: `full`, or `key-frames` where it was thinned."""

    stream: str
    tier: str
    segments: int
    bytes: int
    first_at: datetime
    last_until: datetime


class CameraBuffer(Struct, frozen=True, kw_only=True):
    """One camera's ring. `is_open`: a segment is being written, or was when the box lost power.

    `open_gap` is of the main stream.
    """

    camera_id: str
    segments: int
    bytes: int
    thinned: int
    staged: int  # in memory, waiting for an event
    staged_bytes: int
    first_at: datetime | None
    last_until: datetime | None
    is_open: bool
    open_gap: str | None
    event_locks: int
    evidence_locks: int
    locked_bytes: int
    copied: int
    deleted_24h: dict[str, int]
    purge_records: int
    written_today_bytes: int
    flushes_today: int
    tiers: tuple[Tier, ...] = ()
    stills: int = 0  # timelapse pictures
    stills_bytes: int = 0


class Doom(Struct, frozen=True, kw_only=True):
    """A segment that would go now, and by which rule."""

    camera_id: str
    stream: str
    path: str
    bytes: int
    start_at: datetime
    until: datetime
    rule: str


def cameras_in(data_dir: Path, camera_id: str | None = None) -> list[Path]:
    """Return the cameras' folders. Raises `StorageError` buffer.no_camera when there is none."""
    root, name = data_dir / "cameras", camera_id or "*"
    found = sorted({path.parent for what in _SIGNS for path in root.glob(f"{name}/{what}")})
    if not found:
        what = f"camera {camera_id}" if camera_id else "any camera"
        raise StorageError(
            "buffer.no_camera",
            f"There are no recordings of {what} in {data_dir}.",
            hint="Give the agent's data folder with --data-dir, and the camera's id as set.",
        )
    return found


def disk_status(folder: Path) -> DiskStatus:
    """Return the figures of the disk under a camera's folder."""
    facts, mount = os.statvfs(folder), mount_of(folder)
    return DiskStatus(
        mount=str(mount),
        medium_id=read_id(mount),
        free_bytes=facts.f_bavail * facts.f_frsize,
        total_bytes=facts.f_blocks * facts.f_frsize,
        free_inodes=facts.f_favail,
    )


def camera_buffer(folder: Path, now: datetime) -> CameraBuffer:
    """Return the figures of one camera's ring."""
    with closing(open_index_reader(folder)) as db:
        usage = db.execute("SELECT segments, bytes FROM usage").fetchone()
        first_us = db.execute("SELECT min(start_utc_us) FROM segments").fetchone()[0]
        last_us = db.execute(
            "SELECT max(start_utc_us + duration_us) FROM segments WHERE state = 'closed'"
        ).fetchone()[0]
        held = locks.all_locks(db)
        gap = db.execute(
            "SELECT cause FROM gaps WHERE to_utc_us IS NULL AND stream = 'main'"
        ).fetchone()
        today = db.execute(
            "SELECT bytes, flushes FROM writes WHERE day = ?", (f"{now:%Y-%m-%d}",)
        ).fetchone()
        return CameraBuffer(
            camera_id=folder.name,
            segments=usage["segments"],
            bytes=usage["bytes"],
            thinned=_count(db, "segments WHERE tier = 'key-frames'"),
            staged=_count(db, f"segments WHERE {_STAGED}"),
            staged_bytes=db.execute(
                f"SELECT coalesce(sum(bytes), 0) FROM segments WHERE {_STAGED}"  # noqa: S608
            ).fetchone()[0],
            first_at=None if first_us is None else from_micros(first_us),
            last_until=None if last_us is None else from_micros(last_us),
            is_open=_count(db, "segments WHERE state = 'open'") > 0,
            open_gap=None if gap is None else gap["cause"],
            event_locks=sum(lock.kind is LockKind.EVENT for lock in held),
            evidence_locks=sum(lock.kind is LockKind.EVIDENCE for lock in held),
            locked_bytes=locks.held_bytes(db),
            copied=_count(db, "copies"),
            deleted_24h=dict(
                db.execute(
                    "SELECT rule, count(*) FROM deletions WHERE at_utc_us > ? GROUP BY rule",
                    (micros(now - timedelta(days=1)),),
                ).fetchall()
            ),
            purge_records=_count(db, "purges"),
            written_today_bytes=today["bytes"] if today else 0,
            flushes_today=today["flushes"] if today else 0,
            tiers=_tiers(db),
        )


def locks_of(folder: Path, *, released: bool) -> list[Lock]:
    """Return a camera's locks, those of the past too when `released`."""
    with closing(open_index_reader(folder)) as db:
        return locks.all_locks(db, released=released)


def doomed(folder: Path, settings: BufferSettings, clock: Clock, cameras: int) -> list[Doom]:
    """Return what the camera's worker would delete now, changing nothing."""
    with closing(open_index_reader(folder)) as db:
        total = _count(db, "segments")
        now = trusted_now(db, folder, clock, boot_id())
        found = due(db, settings, state_of(folder, settings, now, cameras), total)
    return [
        Doom(
            camera_id=folder.name,
            stream=stream_of(segment.path),
            path=segment.path,
            bytes=segment.size_bytes,
            start_at=from_micros(segment.start_us),
            until=from_micros(segment.start_us + segment.duration_us),
            rule=segment.rule,
        )
        for segment in found
    ]


def _tiers(db: Connection) -> tuple[Tier, ...]:
    rows = db.execute(
        "SELECT stream, CASE tier WHEN 'key-frames' THEN tier ELSE 'full' END, count(*),"
        " sum(bytes), min(start_utc_us), max(start_utc_us + duration_us)"
        " FROM segments WHERE state = 'closed' GROUP BY 1, 2 ORDER BY 1, 2"
    )
    return tuple(
        Tier(
            stream=stream,
            tier=tier,
            segments=segments,
            bytes=size_bytes,
            first_at=from_micros(first_us),
            last_until=from_micros(last_us),
        )
        for stream, tier, segments, size_bytes, first_us, last_us in rows
    )


def _count(db: Connection, what: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {what}").fetchone()[0])  # noqa: S608
