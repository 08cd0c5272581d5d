"""Opens a camera's index; one that is damaged or lost is set aside and made anew.

What it alone knew comes back from its duplicate (`agent.buffer.restoring`), evidence locks from
their own file, and the rest from the files. At once comes what can't wait: the duplicate's newest
files, and the segments recorded after its last line, so that the gap since then is measured from
the last frame. All else comes in the background: the duplicate's older files, then segments by
`agent.buffer.check`, oldest first.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from agent.buffer import duplicate, journal
from agent.buffer.check import REBUILT, Check, know_runs_of_files
from agent.buffer.index import INDEX_FILE, Index
from agent.buffer.journal import Verifier
from agent.buffer.locks import restore_evidence
from agent.buffer.named_times import files_by_run
from agent.buffer.restoring import BEGUN, Restored, Restoring
from agent.buffer.segment_file import OPEN_SUFFIX, final_path, sync_folder
from agent.core import log
from agent.core.clock import Clock
from agent.core.errors import StorageError
from agent.core.sqlite import Part

DAMAGED_SUFFIX = ".damaged"
_NEWEST = 200  # files taken in at once: ten minutes of segments of both streams


def open_index(
    folder: Path, parts: Sequence[Part], clock: Clock, verifies: Verifier | None = None
) -> Index:
    """Return the writer of `folder`'s index. Raises `StorageError` when the disk refuses.

    `verifies` knows the box's signature; without it the duplicate is taken as it is.
    """
    path = folder / INDEX_FILE
    why = damage_of(path)
    if not why:
        try:
            index = Index(folder, parts)
        except StorageError as error:
            if type(error.__cause__) is not sqlite3.DatabaseError:  # its kinds: full, locked, …
                raise
            why = str(error.__cause__)
        else:
            if not _is_half_made(index):
                duplicate.watch(index, folder, is_restored=False)
                return index
            index.close()
            why = "half made"
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            file = path.with_name(path.name + suffix)
            file.replace(path.with_name(f"{path.name}{DAMAGED_SUFFIX}{suffix}"))
    index = Index(folder, parts)
    found = fill(index, folder, clock, verifies)
    with index.reading() as db:
        runs = db.execute("SELECT max(run_id) FROM runs").fetchone()[0]
    if runs or found.lines or why != "lost":
        with index.transaction() as db:
            journal.note(db, clock.utc_now(), "index-rebuilt", INDEX_FILE, why)
        log.get("buffer.rebuild").error("index made anew", why=why, runs=runs)
    return index


def fill(
    index: Index, folder: Path, clock: Clock, verifies: Verifier | None, *, touches: bool = True
) -> Restored:
    """Put into a new index what can't wait; return what came from the duplicate.

    Without `touches` the folder is left as it is: a disk that is read-only.
    """
    restoring = Restoring(folder, index, clock, verifies)
    restoring.begin()
    found = restoring.found
    duplicate.watch(index, folder, is_restored=found.lines > 0)
    locks = restore_evidence(index, folder)
    if touches:
        _close_open_files(folder)
    know_runs_of_files(index, folder)
    if touches:
        _take_in_newest(index, folder, clock)
    _end_gaps(index)
    _know_that_last_runs_broke_off(index)
    with index.transaction() as db:
        db.execute("DELETE FROM to_restore WHERE what = ?", (BEGUN,))
    log.get("buffer.rebuild").info("filled", lines=found.lines, rows=found.rows, locks=locks)
    return found


def _is_half_made(index: Index) -> bool:
    """Return whether the power failed while it was filled."""
    with index.reading() as db:
        row = db.execute("SELECT 1 FROM to_restore WHERE what = ?", (BEGUN,)).fetchone()
    return row is not None


def _close_open_files(folder: Path) -> None:
    """What was being written gets the name of what is whole; its torn end goes when it is read."""
    for _, relative in list(files_by_run(folder)):
        if relative.endswith(OPEN_SUFFIX):
            path = folder / relative
            with suppress(OSError):  # else it stays, and the recovery finds it
                path.rename(final_path(path))
                sync_folder(path.parent)


def _take_in_newest(index: Index, folder: Path, clock: Clock) -> None:
    """What was recorded after the duplicate's last line."""
    with index.reading() as db:
        last = db.execute(
            "SELECT run_id, path FROM segments ORDER BY segment_id DESC LIMIT 1"
        ).fetchone()
    if last is None:
        return  # all of it is to be taken in, and that takes its time
    newer = sorted(one for one in files_by_run(folder) if one > tuple(last))[-_NEWEST:]
    hours = {relative.rpartition("/")[0] for _, relative in newer}
    Check(folder, index, clock).take_in(sorted(hours))


def _end_gaps(index: Index) -> None:
    """A gap whose end the duplicate does not tell ended with the next segment."""
    later = "SELECT min(start_utc_us) FROM segments s WHERE s.stream = gaps.stream"
    with index.transaction() as db:
        db.execute(
            f"UPDATE gaps SET to_utc_us = ({later} AND s.start_utc_us >= gaps.from_utc_us)"  # noqa: S608
            f" WHERE to_utc_us IS NULL AND ({later} AND s.start_utc_us >= gaps.from_utc_us) > 0"
        )


def _know_that_last_runs_broke_off(index: Index) -> None:
    """A run that began after the duplicate's last line: nobody noted an end, a gap follows it."""
    with index.transaction() as db:
        db.execute(
            "UPDATE runs SET ended_cause = NULL WHERE time_quality = ? AND ended_cause = ?"
            " AND run_id IN (SELECT max(run_id) FROM runs GROUP BY stream)"
            " AND run_id IN (SELECT run_id FROM segments)",
            (REBUILT, REBUILT),
        )


def damage_of(path: Path) -> str:
    """Return what is wrong with a database, empty when it is whole."""
    if not path.exists():
        return "lost"
    try:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            answer = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.OperationalError:
        return ""  # not damaged but refused: opening it says why
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if answer == ("ok",) else str(answer[0])
