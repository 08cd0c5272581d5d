"""Packets of a stream into segments on disk: the box's memory.

Order at each rotation: write, fsync, rename, fsync folder, then one index transaction that closes
the old segment and opens the new one. A helper thread syncs the open segment every `sync_s`, so a
power cut costs about that much. A full disk frees the oldest segments and goes on by itself.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVarTuple

from av.audio.stream import AudioStream
from av.packet import Packet
from av.video.stream import VideoStream

from agent.buffer.disk_refusal import DISK_ERROR, DISK_FULL, DISK_STUCK, disk_code
from agent.buffer.index import (
    HANDED_OVER,
    MAIN,
    Index,
    Moment,
    RunStart,
    Seam,
    SegmentEnd,
    from_micros,
)
from agent.buffer.medium import SameDisk
from agent.buffer.observer import RecordingObserver
from agent.buffer.recording_clock import RecordingClock
from agent.buffer.recovery import recover
from agent.buffer.retention import Retention
from agent.buffer.run import Run, RunEnd
from agent.buffer.segment_file import Head, SegmentFile, final_path, open_name, salvage
from agent.core import log
from agent.core.clock import Clock, wait_s
from agent.core.disk_wait import STUCK_S, Calls
from agent.core.errors import StorageError
from agent.core.reserve import leave_room
from agent.messages.worker import RecordingStatus
from agent.settings.model import BufferSettings

DISK_RETRY_S = 5.0
FRESH_S = 10.0  # "recording" is said only while frames really reach the disk
Asked = TypeVarTuple("Asked")


class Recorder:
    """The sink of one stream of a camera. Called by the session's thread only.

    `status` may be read from any thread. While the disk refuses, frames are dropped, the gap says
    `disk-full` or `disk-error`, and every 5 s it tries again.
    """

    def __init__(
        self,
        folder: Path,
        index: Index,
        retention: Retention,
        settings: BufferSettings,
        clock: Clock,
        boot_id: str,
        observers: Sequence[RecordingObserver] = (),
        base: Callable[[], str] = lambda: "video",
        stream: str = MAIN,
        time: RecordingClock | None = None,
    ) -> None:
        """`base`: the folder, below the camera's, that the next segment goes to.

        Recorders that share an index share `time`, too.
        """
        self._base, self._stream = base, stream
        self._folder, self._index, self._retention = folder, index, retention
        self._settings, self._clock, self._boot_id = settings, clock, boot_id
        self._log = log.get("buffer.recorder")
        self._file: SegmentFile | None = None
        self._segment_id, self._segment_start_mono_s = 0, 0.0
        self._observers = tuple(observers)
        self.time = time or RecordingClock(index, clock, boot_id)
        self._stored_mono_s = float("-inf")
        self._unnoted: SegmentEnd | None = None  # finished, but the index does not know yet
        self._owed: list[RunEnd] = []
        self._run: Run | None = None
        self._seam: Seam | None = None  # a predecessor's run that this one goes on from
        self._template: VideoStream | None = None
        self._sound: AudioStream | None = None
        self._head: Head | None = None  # of the run's first segment, for the others
        self._refused_until_mono_s = 0.0
        self._sync_error: OSError | None = None
        self.flushes_total = 0
        self.calls = Calls()
        self._unstuck_mono_s = float("-inf")
        self.disk = SameDisk(folder)
        self._is_disk_doubtful = False  # it failed: rows may have been left open
        self._fault: tuple[str, str] | None = None
        self._frames, self._recorded_s, self._bytes, self._gaps = index.totals(stream)
        self._lock = threading.Lock()

    # The sink

    def run_started(
        self,
        stream: VideoStream,
        codec: str,
        size_px: tuple[int, int],
        sound: AudioStream | None = None,
    ) -> None:
        """A new timeline begins; its first packet is a key frame. `sound`: its sound, if any."""
        self._template, self._sound, self._head = stream, sound, None
        self._run = Run(
            RunStart(
                stream=self._stream,
                codec=codec,
                width_px=size_px[0],
                height_px=size_px[1],
                at=self.moment(self._clock.monotonic_s()),
            ),
            self._seam.mono_us / 1e6 if self._seam else None,
        )

    def packet(self, packet: Packet[VideoStream], arrived_mono_s: float) -> None:
        """Store one packet; a key frame after `segment_s` opens the next segment."""
        if self._run is not None:
            self._ask_disk(self._store, self._run, packet, arrived_mono_s)

    def flush(self) -> None:
        """Write what waits: nothing more comes for a while."""
        if self._file is not None:
            self._ask_disk(self._file.flush)

    def _ask_disk(self, call: Callable[[*Asked], None], *asked: *Asked) -> None:
        began_s = self._clock.monotonic_s()
        with self.calls:
            try:
                call(*asked)
            except (OSError, StorageError) as error:
                self._refused(error)
        if (now_s := self._clock.monotonic_s()) - began_s > STUCK_S:
            self._unstuck_mono_s = now_s

    def _store(self, run: Run, packet: Packet[VideoStream], arrived_mono_s: float) -> None:
        if packet.is_keyframe and run.is_astray:
            self._begin_another_timeline(run)
        run.place(packet, arrived_mono_s)
        self.time.look()
        self._heed_sync_error()
        if self._needs_new_segment(packet):
            self._rotate()
        if self._file is not None:
            at = self.time.utc(run.now_mono_s)
            for observer in self._observers:
                observer.packet_stored(packet, at)
            self._file.mux(packet)
            self._stored_mono_s = self._clock.monotonic_s()

    def sound(self, packet: Packet[AudioStream]) -> None:
        """Store one packet of the run's sound beside its video; the chain is of the video alone."""
        if self._file is not None:
            self._file.mux_sound(packet)

    def run_ended(self, cause: str) -> None:
        """The timeline is over: close the segment and open the gap that begins now."""
        if self._clock.monotonic_s() - self._unstuck_mono_s < FRESH_S:
            cause = DISK_STUCK  # meanwhile nobody read what the camera sent
        try:
            self._finish_segment()
            self._owe_run_end(cause)
            self._settle()
        except (OSError, StorageError) as error:
            self._refused(error)
        self._run = None

    def leave(
        self, packet: Packet[VideoStream], arrived_mono_s: float, key: bytes, key_mono_s: float
    ) -> bool:
        """Stop before this key frame, which a successor stores, and leave the run to it.

        `key` and `key_mono_s` name the key frame before. False: nothing is being stored, go on.
        """
        run = self._run
        if run is None or run.run_id is None or self._file is None:
            return False
        try:
            run.place(packet, arrived_mono_s)
            self._finish_segment()
            for observer in self._observers:
                observer.run_ended(HANDED_OVER)
            next_us = round(run.now_mono_s * 1e6)
            self._index.leave_run(
                Seam(run.run_id, key, round(key_mono_s * 1e6), next_us),
                self._unnoted,
                self._also(self._unnoted),
            )
        except (OSError, StorageError) as error:
            self._refused(error)
            return False
        self._run = self._unnoted = None
        return True

    def resume(self, seam: Seam) -> None:
        """The run to come begins with the key frame that a predecessor left off at.

        When it doesn't, `run_ended` opens the gap there.
        """
        self._seam = seam

    # Status and helper thread

    @property
    def status(self) -> RecordingStatus:
        """What reached the disk so far, the open segment included."""
        file = self._file  # without the lock: whoever has it may wait for a frozen disk
        frames, recorded_s, size = self._frames, self._recorded_s, self._bytes
        if file is not None:
            frames += file.frames
            recorded_s += file.duration_us / 1e6
            size += file.size_bytes
        code, detail = self._fault or (None, None)
        return RecordingStatus(
            recording=file is not None
            and self._clock.monotonic_s() - self._stored_mono_s < FRESH_S,
            frames_total=frames,
            recorded_s=round(recorded_s, 2),
            bytes_total=size,
            gaps_total=self._gaps,
            fault_code=code,
            fault_detail=detail,
        )

    def keep_synced(self, stop: threading.Event) -> None:
        """Thread body: sync the open segment every `sync_s`."""
        while not wait_s(stop, self._settings.sync_s):
            with self._lock:  # the file can't be closed under our hands
                if self._file is not None:
                    try:
                        self._file.sync()
                        self.flushes_total += 1
                    except OSError as error:  # what it holds can't be promised any more
                        self._sync_error = error

    def moment(self, mono_s: float) -> Moment:
        """Return the time that recordings give to a recent `monotonic_s`."""
        return self.time.moment(mono_s)

    # Inside

    def _needs_new_segment(self, packet: Packet[VideoStream]) -> bool:
        if not packet.is_keyframe:
            return False
        if self._file is None:
            return self._clock.monotonic_s() >= self._refused_until_mono_s
        if self._file.duration_us >= self._settings.segment_s * 1e6:
            return True
        return self._file.path.relative_to(self._folder).parts[0] != self._base()

    def _heed_sync_error(self) -> None:
        """Raise here, in the session's thread, what the sync thread was told by the disk."""
        error, self._sync_error = self._sync_error, None
        if error is not None:
            raise error

    def _begin_another_timeline(self, run: Run) -> None:
        """Media time and our clock have gone apart: what follows is another run."""
        self._finish_segment()
        self._owe_run_end("timeline-drift")
        self._settle()
        run.restart_timeline()

    def _rotate(self) -> None:
        assert self._run is not None  # noqa: S101 - its caller checked
        assert self._template is not None  # noqa: S101 - set with the run
        self.disk.check()
        self._settle()
        if self._is_disk_doubtful:
            recover(self._folder, self._index, self._boot_id, self._observers, stream=self._stream)
            self._is_disk_doubtful = False
        self._finish_segment()
        with self.time.steady:
            self._open_segment(self._run, self._template)
        self._fault, self._refused_until_mono_s = None, 0.0

    def _open_segment(self, run: Run, template: VideoStream) -> None:
        leave_room(self._folder)
        start = self.moment(run.now_mono_s)
        if run.run_id is None:
            run_start = replace(run.start, at=start)
            run.run_id = self._index.begin_run(run_start)
            for observer in self._observers:
                observer.run_started(run.run_id, run_start)
        begin_at = from_micros(start.utc_us)
        path = self._folder / self._base() / open_name(self._stream, run.run_id, begin_at)
        relative = path.relative_to(self._folder).as_posix()
        file = SegmentFile(path, template, self._sound, self._head)
        self._head = file.head
        try:
            segment_id = self._index.next_segment(
                run.run_id, relative, start, self._unnoted, self._also(self._unnoted)
            )
        except StorageError:
            file.abandon()
            path.unlink(missing_ok=True)
            raise
        with self._lock:
            self._file, self._segment_id = file, segment_id
            self._segment_start_mono_s = run.now_mono_s
            self._unnoted = self._seam = None
        for observer in self._observers:
            observer.segment_opened(segment_id, begin_at)

    def _finish_segment(self) -> None:
        with self._lock:
            file, self._file = self._file, None
        if file is None:
            return
        final = final_path(file.path)
        self.flushes_total += 3  # the file, its folder, the index
        try:
            file.finish(final)
        except OSError:
            self._salvage(file)
            raise
        self._note(final, file.frames, file.duration_us, file.size_bytes)

    def _salvage(self, file: SegmentFile) -> None:
        """When the disk refuses this, too, the row stays open: recovery looks at the file later."""
        with contextlib.suppress(OSError):
            self._note(*salvage(file.path))

    def _note(self, path: Path, frames: int, duration_us: int, size_bytes: int) -> None:
        self._frames += frames
        self._recorded_s += duration_us / 1e6
        self._bytes += size_bytes
        self._unnoted = SegmentEnd(
            segment_id=self._segment_id,
            path=path.relative_to(self._folder).as_posix(),
            duration_us=duration_us,
            frames=frames,
            size_bytes=size_bytes,
        )

    def _owe_run_end(self, cause: str) -> None:
        """The run is over, with the segment that was finished last; `_settle` tells the index."""
        if (seam := self._seam) is not None:  # what it left off at never came
            at = self.moment(seam.mono_us / 1e6)
            self._owed.append(RunEnd(seam.run_id, cause, None, at))
            self._seam = None
            self._gaps += 1
        run, end, self._unnoted = self._run, self._unnoted, None
        if run is None or run.run_id is None:
            return
        ended_mono_s = self._segment_start_mono_s + end.duration_us / 1e6 if end else run.now_mono_s
        self._owed.append(RunEnd(run.run_id, cause, end, self.moment(ended_mono_s)))
        self._gaps += 1
        for observer in self._observers:
            observer.run_ended(cause)
        run.run_id = None  # the same timeline may go on, but as a new run

    def _settle(self) -> None:
        """Tell the index of every run that has ended. Raises `StorageError`."""
        while self._owed:
            owed = self._owed[0]
            self._index.end_run(
                owed.run_id, owed.cause, owed.segment, owed.gap_from, self._also(owed.segment)
            )
            del self._owed[0]

    def _also(self, end: SegmentEnd | None) -> Callable[[Connection], None]:
        """Return what goes into the same transaction as the end of a segment."""

        def write(connection: Connection) -> None:
            for observer in self._observers:
                if end is not None:
                    observer.segment_closing(connection, end)

        return write

    def _refused(self, error: OSError | StorageError) -> None:
        """The disk said no: keep what it holds, free the oldest, try again soon."""
        code, cause = disk_code(error)
        self._log.error("recording stopped", code=code, detail=str(error))
        self._fault = (code, str(error))
        self._is_disk_doubtful |= cause == DISK_ERROR
        self._refused_until_mono_s = self._clock.monotonic_s() + DISK_RETRY_S
        with self._lock:
            file, self._file = self._file, None
        if file is not None:
            file.abandon()
            self._salvage(file)
        self._owe_run_end(cause)
        try:
            if cause == DISK_FULL:  # nothing is deleted because of another fault
                self._retention.free_some()
            self._settle()
        except (OSError, StorageError) as second:
            self._log.error("could not free space", detail=str(second))
