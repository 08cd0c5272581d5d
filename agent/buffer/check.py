"""Index and files compared both ways, in slices, at start and hourly; what differs is put right.

A row without its file is forgotten, journalled as `file-missing`, and its time becomes a gap. A
file without a row is taken in again (a lost index is rebuilt so), or, when it can't be read or is
a leftover of thinning, removed and journalled. A file of another size than noted is read anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection

import av
from av.error import FFmpegError

from agent.buffer import journal
from agent.buffer.index import MAIN, Index, micros
from agent.buffer.journal import Doomed
from agent.buffer.named_times import (
    Redatings,
    files_by_run,
    forget_redated,
    named_start,
    redatings,
    stream_of,
)
from agent.buffer.segment_file import OPEN_SUFFIX, cut_torn_end, final_path, probe
from agent.buffer.tiers import KEY_FRAMES, THIN_MARK, full_name
from agent.core.clock import Clock

REBUILT = "rebuilt"


@dataclass(slots=True)
class Findings:
    """What one whole look found; each was put right when it was a repair."""

    files: int = 0
    rows: int = 0
    missing_files: int = 0
    unknown_files: int = 0
    unreadable_files: int = 0
    other_sizes: int = 0
    leftovers: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether index and files agree."""
        counts = asdict(self)
        return not any(counts[name] for name in counts if name not in ("files", "rows"))


@dataclass(frozen=True, slots=True)
class _Row:
    segment_id: int
    stream: str
    path: str
    is_open: bool
    size_bytes: int
    start_us: int
    duration_us: int


def compare(db: Connection, folder: Path) -> Findings:
    """Count what differs, changing nothing: for the command line, beside the one writer."""
    findings = Findings()
    rows = {row.path: row for row in _rows(db, "")}
    findings.rows = len(rows)
    awaited = _awaited(rows.values())
    seen: set[str] = set()
    for path in sorted((folder / "video").rglob("*.mp4")):
        relative = path.relative_to(folder).as_posix()
        seen.add(relative)
        findings.files += 1
        row = rows.get(relative)
        if row is None:
            if path.exists() and next(_rows(db, relative), None) is None:  # and not just noted
                _count_stranger(findings, relative, awaited, rows, folder)
        elif not row.is_open and _size(path) not in (None, row.size_bytes):
            findings.other_sizes += 1
    findings.missing_files = sum(
        1
        for row in rows.values()
        if row.path not in seen
        and not row.is_open
        and not (folder / row.path).exists()
        and next(_rows(db, row.path), None) is not None
    )
    return findings


class Check:
    """Compares and repairs an hour's folder at a time. Used by the worker's upkeep."""

    def __init__(
        self,
        folder: Path,
        index: Index,
        clock: Clock,
        deleting: AbstractContextManager[object] | None = None,
        *,
        touches: bool = True,
    ) -> None:
        """`deleting`: held by the retention while files are gone and rows are not yet.

        Without `touches` no file is changed, and one left open is taken as it is: nobody writes it.
        """
        self._touches = touches
        self._folder, self._index, self._clock = folder, index, clock
        self._deleting = deleting or nullcontext()
        self._redatings = Redatings([])

    def slices(self) -> Iterator[Findings]:
        """Work through all folders, yielding what was found so far after each."""
        findings = Findings()
        self._redatings = redatings(self._folder)
        for hour in self._hours():
            self._look_at(hour, findings)
            yield findings
        if self._touches:
            with self._index.reading() as db:  # nobody notes a redating meanwhile
                oldest = db.execute("SELECT min(run_id) FROM segments").fetchone()[0]
                forget_redated(self._folder, before_run=oldest or 0)
        yield findings

    def take_in(self, hours: Iterable[str]) -> None:
        """Give the files in these folders their rows, at once; look for nothing else."""
        self._redatings = redatings(self._folder)
        for hour in hours:
            self._look_at(hour, Findings(), for_lost=False)

    def run(self) -> Findings:
        """Do all of it at once."""
        findings = Findings()
        for found in self.slices():
            findings = found
        return findings

    def _hours(self) -> list[str]:
        """Return the folders that files or rows name, in the order of time."""
        on_disk = {
            path.relative_to(self._folder).as_posix()
            for path in (self._folder / "video").glob("*/*")
            if path.is_dir()
        }
        with self._index.reading() as db:
            known = {
                row["hour"]
                for row in db.execute(
                    "SELECT DISTINCT substr(path, 1, 19) AS hour FROM segments"
                    " WHERE path LIKE 'video/____-__-__/__/%'"
                )
            }
        return sorted(on_disk | known)

    def _look_at(self, hour: str, findings: Findings, *, for_lost: bool = True) -> None:
        with self._deleting:
            files = {
                path.relative_to(self._folder).as_posix(): path
                for path in sorted((self._folder / hour).glob("*.mp4"))
            }
            with self._index.reading() as db:
                rows = {row.path: row for row in _rows(db, f"{hour}/")}
                open_rows = list(_rows(db, "", state="open"))
            findings.files += len(files)
            findings.rows += len(rows)
            lost = [row for row in rows.values() if not row.is_open and row.path not in files]
            for row in lost if for_lost else ():
                self._forget_lost(row, findings)
                del rows[row.path]  # its other file, if a crash left one, is video after all
            awaited = _awaited(open_rows)
            for relative, path in files.items():
                known = rows.get(relative)
                if known is None:
                    self._take_stranger(relative, path, awaited, rows, findings)
                elif not known.is_open and _size(path) not in (None, known.size_bytes):
                    findings.other_sizes += 1
                    self._read_anew(known, path)

    def _forget_lost(self, row: _Row, findings: Findings) -> None:
        with self._index.reading() as db:
            now_named = next(_rows(db, row.path), None)
        if now_named is None or (self._folder / row.path).exists():
            return  # it was renamed or deleted between our two looks
        findings.missing_files += 1
        self._doom(row, "file-missing")

    def _take_stranger(
        self,
        relative: str,
        path: Path,
        awaited: set[str],
        rows: dict[str, _Row],
        findings: Findings,
    ) -> None:
        before = findings.leftovers, findings.unknown_files
        _count_stranger(findings, relative, awaited, rows, self._folder)
        with self._index.reading() as db:
            if next(_rows(db, relative), None) is not None or not path.exists():
                findings.leftovers, findings.unknown_files = before
                return  # it was finished, and noted, since we looked
        if not self._touches and relative.endswith(OPEN_SUFFIX):
            self._take_in(relative, path, findings)
        elif findings.leftovers > before[0]:
            if not self._touches:
                return
            path.unlink(missing_ok=True)
            with self._index.transaction() as db:
                journal.note(db, self._clock.utc_now(), "leftover-removed", relative)
        elif findings.unknown_files > before[1]:
            self._take_in(relative, path, findings)

    def _take_in(self, relative: str, path: Path, findings: Findings) -> None:
        """Give a file its row again; without a readable frame it is no video."""
        size = path.stat().st_size
        named = named_start(relative)
        if self._touches:
            with suppress(OSError):
                cut_torn_end(path)
        frames, duration_us = probe(path)
        if named is None or not frames:
            findings.unreadable_files += 1
            if frames or not self._touches:  # somebody else's video, under no name of ours
                return
            path.unlink(missing_ok=True)
            with self._index.transaction() as db:
                now = self._clock.utc_now()
                journal.note(db, now, "unreadable-removed", relative, f"{size} bytes")
            return
        run_id, start_at = named[0], self._redatings.start(*named)
        facts = _facts(path)
        with self._index.transaction() as db:
            _know_run(db, run_id, stream_of(relative), start_at, facts)
            db.execute(
                "INSERT INTO segments (run_id, stream, path, state, start_utc_us, duration_us,"
                " frames, bytes, time_quality, tier) VALUES (?,?,?,'closed',?,?,?,?,?,?)",
                (
                    run_id,
                    stream_of(relative),
                    relative,
                    micros(start_at),
                    duration_us,
                    frames,
                    path.stat().st_size,
                    REBUILT,
                    KEY_FRAMES if relative.endswith(f"{THIN_MARK}.mp4") else "full",
                ),
            )
            journal.note(db, self._clock.utc_now(), "taken-in", relative, f"{frames} frames")

    def _read_anew(self, row: _Row, path: Path) -> None:
        if self._touches:
            cut_torn_end(path)
        frames, duration_us = probe(path)
        if not frames:
            if self._touches:
                path.unlink(missing_ok=True)
            self._doom(row, "file-damaged")
            return
        size = path.stat().st_size
        with self._index.transaction() as db:
            db.execute(
                "UPDATE segments SET frames = ?, duration_us = ?, bytes = ? WHERE segment_id = ?",
                (frames, duration_us, size, row.segment_id),
            )
            detail = f"{row.size_bytes} to {size} bytes"
            journal.note(db, self._clock.utc_now(), "size-corrected", row.path, detail)

    def _doom(self, row: _Row, rule: str) -> None:
        """Forget a row whose video is lost, and say so in the timeline."""
        doomed = Doomed(
            row.segment_id, row.path, row.size_bytes, row.start_us, row.duration_us, rule
        )
        if journal.forget(self._index, [doomed], self._clock.utc_now()):
            with self._index.transaction() as db:
                db.execute(
                    "INSERT INTO gaps (stream, from_utc_us, to_utc_us, cause) VALUES (?,?,?,?)",
                    (row.stream, row.start_us, row.start_us + row.duration_us, rule),
                )


def know_runs_of_files(index: Index, folder: Path) -> int:
    """Before a lost index is filled again: no new run may take a number that files already bear.

    Returns the highest number found.
    """
    highest, start, stream = 0, datetime(1970, 1, 1, tzinfo=UTC), MAIN
    known = redatings(folder)
    for run_id, relative in files_by_run(folder):
        if run_id > highest and (named := named_start(relative)) is not None:
            highest, start, stream = run_id, known.start(*named), stream_of(relative)
    if highest:
        with index.transaction() as db:
            _know_run(db, highest, stream, start, ("", 0, 0))
    return highest


def _count_stranger(
    findings: Findings, relative: str, awaited: set[str], rows: dict[str, _Row], folder: Path
) -> None:
    """Tell what a file without a row is."""
    if relative in awaited or relative.endswith(OPEN_SUFFIX):
        return  # being written, or just finished and about to be noted
    full = full_name(relative)
    thinned = f"{full.removesuffix('.mp4')}{THIN_MARK}.mp4"
    is_superseded = full in rows or (thinned in rows and relative == full)
    if is_superseded or (relative == thinned and (folder / full).exists()):
        findings.leftovers += 1
    else:
        findings.unknown_files += 1


def _awaited(rows: Iterable[_Row]) -> set[str]:
    """Return the names that segments being written may bear now or in a moment."""
    names: set[str] = set()
    for row in rows:
        if row.is_open:
            names |= {row.path, final_path(Path(row.path)).as_posix()}
    return names


def _rows(db: Connection, prefix: str, state: str | None = None) -> Iterator[_Row]:
    for row in db.execute(
        "SELECT * FROM segments WHERE path >= ? AND path < ? AND (state = ? OR ? IS NULL)",
        (prefix, f"{prefix}\x7f", state, state),
    ):
        yield _Row(
            segment_id=row["segment_id"],
            stream=row["stream"],
            path=row["path"],
            is_open=row["state"] == "open",
            size_bytes=row["bytes"],
            start_us=row["start_utc_us"],
            duration_us=row["duration_us"],
        )


def _know_run(
    db: Connection, run_id: int, stream: str, start: datetime, facts: tuple[str, int, int]
) -> None:
    codec, width_px, height_px = facts
    db.execute(
        "INSERT OR IGNORE INTO runs (run_id, stream, codec, width_px, height_px, started_utc_us,"
        " started_mono_us, boot_id, time_quality, ended_cause) VALUES (?,?,?,?,?,?,0,'',?,?)",
        (run_id, stream, codec, width_px, height_px, micros(start), REBUILT, REBUILT),
    )
    if codec:
        db.execute(
            "UPDATE runs SET codec = ?, width_px = ?, height_px = ? WHERE run_id = ? AND codec=''",
            (codec, width_px, height_px, run_id),
        )


def _facts(path: Path) -> tuple[str, int, int]:
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            return stream.codec_context.name, stream.width, stream.height
    except (FFmpegError, OSError, IndexError):
        return "", 0, 0


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
