"""What stores one camera's streams in its worker: the main stream, and where it is wanted the sub.

Both write into one folder and one index, with one time; each has a chain of its own, and the
ledger counts the main one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agent.buffer import ledger
from agent.buffer.index import MAIN, SUB, Index, Seam
from agent.buffer.observer import RecordingObserver
from agent.buffer.recorder import Recorder
from agent.buffer.recording_clock import RecordingClock
from agent.buffer.recovery import recover
from agent.buffer.retention import Retention
from agent.buffer.sparing import mode_now
from agent.buffer.stage import DISK, Stage
from agent.core import log
from agent.core.clock import Clock, boot_id
from agent.core.disk_wait import Calls
from agent.core.errors import StorageError
from agent.evidence.gop_chain import GopChain, open_chain
from agent.settings.load import data_dir_of
from agent.settings.model import CameraSettings, Settings


@dataclass(frozen=True, slots=True)
class Recorders:
    """`observers` are those of the main stream, `seam` is where a predecessor left it off."""

    main: Recorder
    sub: Recorder | None
    observers: tuple[RecordingObserver, ...]
    seam: Seam | None

    def syncs(self, stop: threading.Event) -> Iterator[tuple[str, Callable[[], None]]]:
        """Yield name and body of each thread that keeps an open segment synced."""
        yield "sync", partial(self.main.keep_synced, stop)
        if self.sub is not None:
            yield "sync-sub", partial(self.sub.keep_synced, stop)

    @property
    def calls(self) -> tuple[Calls, ...]:
        """What is asked of the disk for the streams."""
        return tuple(one.calls for one in (self.main, self.sub) if one is not None)

    @property
    def flushes_total(self) -> int:
        """How often this worker made the disk write."""
        return self.main.flushes_total + (self.sub.flushes_total if self.sub else 0)


def open_recorders(
    settings: Settings,
    camera: CameraSettings,
    folder: Path,
    index: Index,
    retention: Retention,
    stage: Stage | None,
    clock: Clock,
    *,
    has_disk: bool,
    is_successor: bool,
) -> Recorders:
    """Put right what a crash left of both streams, then make their recorders."""
    this_boot = boot_id()
    time = RecordingClock(index, clock, this_boot)
    base: Callable[[], str] = (lambda: stage.base) if stage else (lambda: DISK)

    def make(stream: str, observers: tuple[RecordingObserver, ...]) -> Recorder:
        return Recorder(
            folder,
            index,
            retention,
            settings.buffer,
            clock,
            this_boot,
            observers,
            base,
            stream,
            time,
        )

    def observers_of(stream: str) -> tuple[RecordingObserver, ...]:
        chain = _chain(settings, camera.camera_id, folder, clock, stream) if has_disk else ()
        if stream != MAIN:
            return chain
        return ledger.Ledger(partial(mode_now, settings.buffer, stage)), *chain

    of_main, of_sub = observers_of(MAIN), observers_of(SUB)
    seam = index.seam(this_boot) if is_successor else None
    causes = (
        recover(folder, index, this_boot, of_main, goes_on=seam is not None),
        recover(folder, index, this_boot, of_sub, stream=SUB),
    )
    for cause in filter(None, causes):
        log.get("camera").warning("the last run did not end cleanly", cause=cause)
    wants_sub = camera.record and camera.record_sub and has_disk
    return Recorders(make(MAIN, of_main), make(SUB, of_sub) if wants_sub else None, of_main, seam)


def _chain(
    settings: Settings, camera_id: str, folder: Path, clock: Clock, stream: str
) -> tuple[GopChain, ...]:
    """Return the stream's chain; without a key the box still records."""
    data_dir = data_dir_of(settings)
    try:
        return (open_chain(data_dir, folder, settings.box, camera_id, clock, stream),)
    except StorageError as error:
        log.get("camera").error("no evidence", code=error.code, detail=error.message)
        return ()
