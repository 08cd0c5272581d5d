"""Old video thinned to its key frames: a segment keeps its times and about a tenth of its bytes.

Crash-safe: the new file is written, synced and renamed under a name of its own, then the index
changes over in one transaction, then the old file goes. Whatever a crash leaves behind,
`agent.buffer.check` sees two files of one segment and removes the one the index does not name.
"""

import errno
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import av
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from agent.buffer import journal
from agent.buffer.index import Index, micros
from agent.buffer.observer import RecordingObserver
from agent.buffer.segment_file import OPEN_SUFFIX, SegmentFile, final_path
from agent.core import log

KEY_FRAMES = "key-frames"
THIN_MARK = "-k"

_NEXT = (
    "SELECT s.segment_id, s.path, s.bytes FROM segments s"
    " WHERE s.state = 'closed' AND s.stream = 'main' AND s.tier = 'full' AND s.start_utc_us < ?"
    " AND s.path NOT LIKE 'staged/%'"
    " AND NOT EXISTS (SELECT 1 FROM locks l WHERE l.released_utc_us IS NULL"
    " AND l.to_utc_us > s.start_utc_us AND l.from_utc_us < s.start_utc_us + s.duration_us)"
    " ORDER BY s.start_utc_us LIMIT ?"
)
_FIRST_OF_LIBAV = 4096
_AGAIN = timedelta(hours=1)  # a disk that refused to read may be well by then


class Thinner:
    """Thins one segment a call. Used by the worker's upkeep only."""

    def __init__(
        self,
        folder: Path,
        index: Index,
        after_days: float,
        observers: Sequence[RecordingObserver] = (),
    ) -> None:
        self._folder, self._index, self._observers = folder, index, tuple(observers)
        self._after = timedelta(days=after_days)
        self._put_off: dict[int, datetime] = {}  # segments that could not be read, until when
        self._log = log.get("buffer.tiers")

    def thin_next(self, now: datetime) -> bool:
        """Thin the oldest full segment that is due; return whether there was one.

        Raises `OSError` or `StorageError`; the segment then stays as it was.
        """
        self._put_off = {one: until for one, until in self._put_off.items() if until > now}
        with self._index.reading() as db:
            due = db.execute(_NEXT, (micros(now - self._after), len(self._put_off) + 1)).fetchall()
        row = next((one for one in due if one["segment_id"] not in self._put_off), None)
        if row is None:
            return False
        old = self._folder / row["path"]
        try:
            new, frames, size_bytes = _write_key_frames(old)
        except (FFmpegError, FileNotFoundError) as error:
            if _is_refusal(error.errno):
                self._put_off[row["segment_id"]] = now + _AGAIN  # the disk refused, this time
                self._log.warning("segment put off", path=row["path"], detail=str(error))
                return True
            # it is no video: leave it to the check
            self._mark(row["segment_id"], row["path"], now, f"not thinned: {error}")
            return True
        with self._index.transaction() as db:
            done = db.execute(
                "UPDATE segments SET path = ?, frames = ?, bytes = ?, tier = ?"
                " WHERE segment_id = ? AND path = ?",
                (
                    new.relative_to(self._folder).as_posix(),
                    frames,
                    size_bytes,
                    KEY_FRAMES,
                    row["segment_id"],
                    row["path"],
                ),
            ).rowcount
            for observer in self._observers:
                observer.segment_thinned(db, row["segment_id"], old)
            journal.note(db, now, "thinned", row["path"], f"{row['bytes']} to {size_bytes} bytes")
        (old if done else new).unlink(missing_ok=True)
        self._log.info("segment thinned", path=row["path"], bytes=size_bytes, was=row["bytes"])
        return True

    def _mark(self, segment_id: int, path: str, now: datetime, why: str) -> None:
        with self._index.transaction() as db:
            db.execute(
                "UPDATE segments SET tier = 'unreadable' WHERE segment_id = ?", (segment_id,)
            )
            journal.note(db, now, "not-thinned", path, why)


def _is_refusal(number: int | None) -> bool:
    """Return whether the system refused to read, which may pass; libav's own numbers are larger."""
    return number is not None and number != errno.ENOENT and 0 < number < _FIRST_OF_LIBAV


def full_name(path: str) -> str:
    """Return the name a thinned segment had before."""
    stem = path.removesuffix(".mp4")
    return f"{stem.removesuffix(THIN_MARK)}.mp4"


def _write_key_frames(old: Path) -> tuple[Path, int, int]:
    """Copy the key frames, each lasting until the next; return (file, frames, bytes)."""
    scratch = old.with_name(f"{old.stem}{THIN_MARK}{OPEN_SUFFIX}")
    scratch.unlink(missing_ok=True)
    final = final_path(scratch)
    try:
        with av.open(str(old)) as source:
            file = SegmentFile(scratch, source.streams.video[0])
            try:
                _copy(source, file)
            except BaseException:
                file.abandon()
                raise
            file.finish(final)
    except BaseException:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise
    return final, file.frames, file.size_bytes


def _copy(source: "av.container.InputContainer", file: SegmentFile) -> None:
    key: Packet[VideoStream] | None = None
    end = 0
    for packet in source.demux(source.streams.video[0]):
        if packet.dts is None or not packet.size:
            continue
        if packet.is_keyframe:
            if key is not None and key.dts is not None:
                key.duration = packet.dts - key.dts
                file.mux(key)
            key = packet
        end = packet.dts + (packet.duration or 0)
    if key is not None and key.dts is not None:
        key.duration = end - key.dts
        file.mux(key)
