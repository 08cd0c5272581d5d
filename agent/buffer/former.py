"""Cameras taken out of the settings: their video stays until it is old enough, then all of it goes.

Nobody records there any more, so the core looks in now and then and does what a worker's upkeep
would: locks end, age and want of space take segments, deletions are signed. When nothing is left
and nothing is locked, the purge records move to `former/CAMERA.jsonl` and the folder goes.
"""

import shutil
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from agent.buffer import journal
from agent.buffer.index import INDEX_FILE, Index, micros
from agent.buffer.journal import Doomed, Purge, SignedPurge, Signer
from agent.buffer.locks import Locks, capacity_of
from agent.buffer.orders import WORKER_LOCK
from agent.buffer.retention import Retention
from agent.core import log
from agent.core.clock import Clock
from agent.core.lock import FileLock
from agent.settings.model import BufferSettings

RECORDS = "former"


class _Kept(msgspec.Struct, frozen=True):
    """A line of a camera's file there."""

    purge: msgspec.Raw
    key_id: str
    signature: bytes


def folders_of_former(data_dir: Path, cameras: set[str]) -> list[Path]:
    """Return the folders of cameras that the settings no longer know."""
    found = (path.parent for path in (data_dir / "cameras").glob(f"*/{INDEX_FILE}"))
    return sorted(folder for folder in found if folder.name not in cameras)


def tend(
    folder: Path,
    settings: BufferSettings,
    clock: Clock,
    cameras: int,
    signer: Signer | None,
    stills_left: Callable[[Path, datetime | None], bool] = lambda *_: False,
) -> bool:
    """Delete what is due; return whether the folder went with it.

    `cameras` shares the disk. `stills_left` says whether pictures are kept that are not old enough
    at a time to be trusted, None while there is none.
    Raises `OSError` or `StorageError`; storage.in_use while a worker is still there.
    """
    with FileLock(folder / WORKER_LOCK, clock, patience_s=0.0):
        index = Index(folder)
        try:
            capacity = lambda: capacity_of(folder, settings, cameras)  # noqa: E731
            retention = Retention(folder, index, settings, clock, cameras=cameras)
            Locks(folder, index, settings, clock, capacity, now=retention.now).release_due()
            retention.prune()
            now = retention.now()
            _drop_left_open(index, retention, settings, now)
            if signer is not None:
                journal.sign_deletions(index, folder.name, signer, clock.utc_now())
            is_empty = _is_empty(index)
        finally:
            index.close()
        if not is_empty or stills_left(folder, now):
            return False
        _keep_records(folder, folder.parent.parent / RECORDS)
        shutil.rmtree(folder)
    log.get("buffer.former").info("folder removed", camera=folder.name)
    return True


def _drop_left_open(
    index: Index, retention: Retention, settings: BufferSettings, now: datetime | None
) -> None:
    """A segment that a crash left open is old when its camera's others are."""
    if now is None:
        return
    horizon_us = micros(now - timedelta(days=settings.retention_days))
    with index.reading() as db:
        rows = db.execute(
            "SELECT segment_id, path, bytes, start_utc_us, duration_us FROM segments"
            " WHERE state = 'open' AND start_utc_us < ?",
            (horizon_us,),
        ).fetchall()
    if rows:
        retention.delete([Doomed(row[0], row[1], row[2], row[3], row[4], "age") for row in rows])


def _is_empty(index: Index) -> bool:
    with index.reading() as db:
        row = db.execute(
            "SELECT (SELECT count(*) FROM segments)"
            " + (SELECT count(*) FROM locks WHERE released_utc_us IS NULL)"
        ).fetchone()
    return int(row[0]) == 0


def records_behind(file: Path, offset: int) -> list[tuple[SignedPurge, int]]:
    """Return the purge records of a camera that is gone, each with the offset behind it.

    Raises `OSError`; what is no record is left out.
    """
    found = []
    with file.open("rb") as lines:
        lines.seek(offset)
        for line in lines:
            with suppress(msgspec.MsgspecError):
                kept = msgspec.json.decode(line, type=_Kept)
                number = msgspec.json.decode(kept.purge, type=Purge).number
                body = bytes(kept.purge).decode()
                purge = SignedPurge(number, body, kept.key_id, kept.signature)
                found.append((purge, offset + len(line)))
            offset += len(line)
    return found


def _keep_records(folder: Path, records: Path) -> None:
    index = Index(folder)
    with closing(index), index.reading() as db:
        rows = db.execute("SELECT body, key_id, signature FROM purges ORDER BY purge_id").fetchall()
    records.mkdir(exist_ok=True)
    with (records / f"{folder.name}.jsonl").open("ab") as file:
        for body, key_id, signature in rows:
            line = _Kept(purge=msgspec.Raw(body), key_id=key_id, signature=signature)
            file.write(msgspec.json.encode(line) + b"\n")
