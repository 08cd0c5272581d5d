"""One camera's recordings in a worker: which disk they go to, what is locked, what keeps order.

Joins the buffer's parts with hits, orders and the box's key, which they know nothing of.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from functools import partial
from pathlib import Path

from msgspec import structs

from agent.app.event_locks import EventLocks
from agent.app.recorders import Recorders
from agent.app.run_dir import LINK, STAGED, WITHOUT_DISK, run_dir
from agent.buffer import ledger, orders
from agent.buffer.index import INDEX_FILE, Index, Moment
from agent.buffer.journal import Signer
from agent.buffer.locks import Locks, capacity_of
from agent.buffer.medium import WRONG, require_medium, require_openable
from agent.buffer.reading import camera_folder
from agent.buffer.rebuild import open_index
from agent.buffer.recording_clock import LOOK_EVERY_S as TIME_EVERY_S
from agent.buffer.retention import Retention
from agent.buffer.sparing import mode_now
from agent.buffer.stage import Stage
from agent.buffer.upkeep import Upkeep
from agent.core import log
from agent.core.clock import Clock
from agent.core.disk_wait import STUCK, DiskWait
from agent.core.errors import StorageError
from agent.core.patience import Patience
from agent.evidence import schema as evidence
from agent.evidence.key_store import KeyRing
from agent.evidence.known_keys import verifier_of
from agent.messages.locking import LockOrder, LockReply
from agent.messages.vision import RuleHit
from agent.messages.worker import RecordingStatus
from agent.settings.load import data_dir_of
from agent.settings.model import Settings
from hardware.interface import Medium, StorageState
from hardware.pick import pick_board

LOOK_FOR_DISK_EVERY_S = 5.0
SUB_MISSING, SUB_MISSED_AFTER_S = "storage.sub_not_recorded", 60.0


def find_folder(settings: Settings, camera_id: str) -> tuple[Path, StorageError | None]:
    """Return the camera's folder, made when it is new.

    Without its disk: a small folder on the system disk for hits alone, and what is wrong.
    """
    folder, trouble = camera_folder(data_dir_of(settings), camera_id), None
    try:
        require_medium(folder, settings.buffer)
        require_openable(folder / INDEX_FILE)
    except StorageError as error:
        if error.code != WRONG:
            raise
        folder, trouble = run_dir(settings) / WITHOUT_DISK / camera_id, error
        log.get("keeping").error("not recorded", code=error.code, detail=error.message)
    folder.mkdir(parents=True, exist_ok=True)
    return folder, trouble


def open_camera_index(settings: Settings, folder: Path, clock: Clock) -> Index:
    """Return the writer of a camera's index, made anew from its duplicate when it was lost."""
    parts = [ledger.PART, evidence.PART]
    return open_index(folder, parts, clock, verifier_of(data_dir_of(settings)))


def open_stage(
    settings: Settings, camera_id: str, folder: Path, index: Index, clock: Clock
) -> Stage | None:
    """Return event-only mode's waiting room; None where all goes to the disk, and always did."""
    buffer, memory = settings.buffer, run_dir(settings) / STAGED / camera_id
    is_in_memory = run_dir(settings).name != LINK
    limit_bytes = buffer.stage_bytes if buffer.mode == "events" and is_in_memory else 0
    may_spare = buffer.over_budget == "events" and is_in_memory
    if not limit_bytes and not may_spare and not (folder / STAGED).is_symlink():
        return None
    return Stage(folder, memory, index, limit_bytes, clock)


class Keeping:
    """Locks and upkeep of one camera. `no_disk`: why nothing is recorded while its disk is away."""

    def __init__(
        self,
        settings: Settings,
        camera_id: str,
        folder: Path,
        index: Index,
        retention: Retention,
        recorders: Recorders,
        clock: Clock,
        no_disk: StorageError | None = None,
        stage: Stage | None = None,
    ) -> None:
        self._stage = stage
        self._settings, self._camera_id, self._clock = settings, camera_id, clock
        self._index, self._recorders, self._no_disk = index, recorders, no_disk
        self._recorder = recorders.main
        self._sub_stored_mono_s = clock.monotonic_s()
        cameras = max(1, len(settings.cameras))
        self._locks = Locks(
            folder,
            index,
            settings.buffer,
            clock,
            lambda: capacity_of(folder, settings.buffer, cameras),
            mode=self._mode,
            now=retention.now,
        )
        self._upkeep = Upkeep(
            folder,
            index,
            retention,
            self._locks,
            settings.buffer,
            clock,
            cameras=cameras,
            flushes=lambda: recorders.flushes_total,
            signer=_signer(data_dir_of(settings)),
            observers=recorders.observers,
            stage=stage,
            medium=_medium(settings, folder),
            verifies=verifier_of(data_dir_of(settings)),
        )
        self.events = EventLocks(self._locks, stage, settings.camera(camera_id))
        self._late_hits: deque[tuple[RuleHit, Moment]] = deque(maxlen=1000)
        self._catching_up = threading.Lock()
        self._upkeep.add("late hits", 1.0, self._catch_up)
        self._upkeep.add("time", TIME_EVERY_S, self._recorder.time.look)  # also if none looks
        self._upkeep.add("heat", 1.0, self._look_at_heat)
        self.disk = DiskWait((index.calls, *recorders.calls), clock)
        self._look_due_mono_s = 0.0

    @property
    def status(self) -> RecordingStatus:
        """What the recorder tells, and what upkeep and disk add to it."""
        status = structs.replace(
            self._recorder.status,
            mode=self._mode(),
            faults=(*self._upkeep.faults, *self._sub_faults()),
        )
        if self._no_disk is None and self.disk.is_stuck:
            detail = f"The disk has not answered for {self.disk.waits_s:.0f} s."
            return structs.replace(status, recording=False, fault_code=STUCK, fault_detail=detail)
        if self._no_disk is None:
            return status
        return structs.replace(
            status, fault_code=self._no_disk.code, fault_detail=self._no_disk.message
        )

    @property
    def sub_status(self) -> RecordingStatus | None:
        """What the recorder of the sub stream tells; None where it is not to be recorded."""
        sub = self._recorders.sub
        return structs.replace(sub.status, mode=self._mode()) if sub else None

    def _mode(self) -> str:
        return mode_now(self._settings.buffer, self._stage)

    def _sub_faults(self) -> tuple[str, ...]:
        status, now_s = self.sub_status, self._clock.monotonic_s()
        if status is None or status.recording:
            self._sub_stored_mono_s = now_s
        return (SUB_MISSING,) if now_s - self._sub_stored_mono_s > SUB_MISSED_AFTER_S else ()

    def run(self, stop: threading.Event) -> None:
        """Thread body: the upkeep."""
        self._upkeep.run(stop)

    def close(self) -> None:
        """When nothing is recorded any more: the last of an event goes to the disk."""
        if self._stage is not None:
            with suppress(OSError, StorageError):  # it is in memory still, for the next start
                self._stage.turn()
        self._upkeep.close()

    def must_restart(self) -> bool:
        """Return whether the disk has gone or come: the worker then begins anew."""
        now_s = self._clock.monotonic_s()
        if now_s < self._look_due_mono_s:
            return False
        self._look_due_mono_s = now_s + LOOK_FOR_DISK_EVERY_S
        folder = camera_folder(data_dir_of(self._settings), self._camera_id)
        try:
            require_medium(folder, self._settings.buffer)
            require_openable(folder / INDEX_FILE)
            if self._no_disk is None:
                self._recorder.disk.check()
        except StorageError:
            return self._no_disk is None
        return self._no_disk is not None

    def hit(self, hit: RuleHit) -> None:
        """Keep what lies around an incident; while the disk is stuck, as soon as it answers."""
        self._late_hits.append((hit, self._recorder.moment(hit.mono_s)))
        if not self.disk.is_stuck:
            self._catch_up()

    def _catch_up(self) -> None:
        if not self._catching_up.acquire(blocking=False):
            return  # another thread is at it
        try:
            while self._late_hits:
                self.events.hit(*self._late_hits.popleft())
        finally:
            self._catching_up.release()

    def _look_at_heat(self) -> None:
        self.events.turn(self._recorder.moment(self._clock.monotonic_s()))

    def order(self, order: LockOrder) -> LockReply:
        """Carry out what the center ordered."""
        if self._no_disk is not None:
            error = self._no_disk
            return LockReply(
                request_id=order.request_id, code=error.code, message=error.message, hint=error.hint
            )
        return orders.carry_out(self._locks, order, self._clock, self._recorder.time)


def _medium(settings: Settings, folder: Path) -> Medium | None:
    """Return what kind of disk the recordings lie on, None where nobody knows."""
    storage = pick_board(kind=settings.board.kind).storage
    read = partial(storage.read, folder.resolve())
    return Patience().ask("storage", read, StorageState()).medium


def _signer(data_dir: Path) -> Signer | None:
    """Return what signs for this box; a box without a usable key purges unsigned."""
    ring = KeyRing(data_dir)
    try:
        ring.key()
    except StorageError as error:
        log.get("keeping").error("deletions are not signed", detail=str(error))
        return None

    def sign(body: bytes) -> tuple[str, bytes]:
        key = ring.key()
        return key.public.fingerprint, key.sign(body)

    return sign
