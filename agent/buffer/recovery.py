"""After a crash or power cut: what the open segments really hold, and the gap that was left."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection

from agent.buffer.index import MAIN, Index, SegmentEnd, from_micros
from agent.buffer.observer import RecordingObserver
from agent.buffer.segment_file import OPEN_SUFFIX, cut_torn_end, final_path, probe, sync_folder
from agent.core import log

KILLED, POWER_CUT = "agent-killed", "box-restarted"


def recover(
    folder: Path,
    index: Index,
    boot_id: str,
    observers: Sequence[RecordingObserver] = (),
    *,
    stream: str = MAIN,
    goes_on: bool = False,
) -> str | None:
    """Close every segment a crash left open and note the gap; return its cause, if there is one.

    Of one stream: the other may be recorded meanwhile.

    What the disk refuses to show stays open, for the next time. `goes_on`: a predecessor left its
    run to this process, which ends it without a gap or with one.
    """
    the_log = log.get("buffer.recovery")
    refused: set[Path] = set()
    for segment_id, _, relative, start_us in index.open_segments(stream):
        try:
            end = _salvage(folder, segment_id, relative)
        except OSError as error:
            the_log.error("segment can't be read now", path=relative, detail=str(error))
            refused.add(folder / relative)
            continue
        start_at = from_micros(start_us)

        def tell(
            connection: Connection, end: SegmentEnd = end, start_at: datetime = start_at
        ) -> None:
            for observer in observers:
                if end.frames:
                    observer.segment_recovered(connection, folder / end.path, start_at, end)

        index.recover_segment(end, tell)
        the_log.warning("segment recovered", path=end.path, frames=end.frames)
    _remove_strays(folder, stream, refused, the_log)
    return None if goes_on else index.recover_gap(boot_id, KILLED, POWER_CUT, stream)


def _salvage(folder: Path, segment_id: int, relative: str) -> SegmentEnd:
    path = folder / relative
    frames = duration_us = 0
    if path.exists():
        cut_torn_end(path)
        frames, duration_us = probe(path)
    final = final_path(path)
    if frames:
        path.rename(final)
        sync_folder(final.parent)
    else:
        path.unlink(missing_ok=True)
        renamed_before_the_crash = final.exists()
        if renamed_before_the_crash:
            frames, duration_us = probe(final)
    size = final.stat().st_size if final.exists() else 0
    return SegmentEnd(segment_id, final.relative_to(folder).as_posix(), duration_us, frames, size)


def _remove_strays(folder: Path, stream: str, refused: set[Path], the_log: log.Logger) -> None:
    """Files that were begun but never reached the index hold at most one fragment."""
    for path in set((folder / "video").rglob(f"{stream}-*{OPEN_SUFFIX}")) - refused:
        the_log.warning("stray segment removed", path=path.name)
        path.unlink(missing_ok=True)
