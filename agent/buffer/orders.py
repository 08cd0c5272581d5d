"""How lock orders reach the one writer of an index.

The worker carries out what the center sends. The command line on the box, or on a disk taken from
another one, takes the worker's place when there is none (it holds the worker's own lock file);
else it leaves the order as a file in `orders/`, which the worker answers within seconds.
"""

import os
import threading
from contextlib import nullcontext, suppress
from datetime import timedelta
from pathlib import Path

import msgspec

from agent.buffer.index import Index, Moment, from_micros
from agent.buffer.locks import Lock, LockKind, Locks, capacity_of
from agent.buffer.recording_clock import RecordingClock
from agent.core.clock import Clock, wait_s
from agent.core.errors import StorageError
from agent.core.lock import FileLock
from agent.messages.locking import LockOrder, LockReply, LockSpan
from agent.settings.model import BufferSettings

WORKER_LOCK = ".worker.lock"
ORDERS = "orders"
ANSWER_WITHIN_S = 15.0
_POLL_S = 0.1


def carry_out(
    locks: Locks, order: LockOrder, clock: Clock, time: RecordingClock | None = None
) -> LockReply:
    """Do what is ordered; a refusal is an answer, too. `time`: the recorder's, if it runs."""
    try:
        if isinstance(order, LockSpan):
            with time.steady if time else nullcontext():
                moment = _moment(order, time)
                shift = from_micros(moment.utc_us) - order.since if moment else timedelta()
                locks.add(
                    Lock(
                        lock_id=order.lock_id,
                        kind=LockKind(order.kind),
                        since=order.since + shift,
                        until=order.until + shift,
                        incident_id=order.incident_id,
                        approver=order.approver,
                        made_at=clock.utc_now(),
                        expires_at=order.expires_at + shift,
                    ),
                    moment,
                )
        else:
            locks.remove(order.lock_id, order.by)
    except StorageError as error:
        return LockReply(
            request_id=order.request_id, code=error.code, message=error.message, hint=error.hint
        )
    return LockReply(request_id=order.request_id)


def _moment(order: LockSpan, time: RecordingClock | None) -> Moment | None:
    if time is None or order.since_mono_s is None:
        return None
    return time.moment(order.since_mono_s)


def carry_out_files(folder: Path, locks: Locks, clock: Clock) -> int:
    """The worker's look into `orders/`; return how many it answered."""
    done = 0
    for path in _given(folder / ORDERS):
        try:
            order = msgspec.json.decode(path.read_bytes(), type=LockOrder)
        except msgspec.MsgspecError as error:
            reply = LockReply(request_id=path.stem, code="lock.bad_order", message=str(error))
        else:
            reply = carry_out(locks, order, clock)
        scratch = path.with_suffix(".tmp")
        scratch.write_bytes(msgspec.json.encode(reply))
        scratch.replace(path.with_suffix(".answer"))
        path.unlink()
        done += 1
    return done


def _given(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:  # once a second: `Path.glob` costs ten times as much
            return sorted(Path(one) for one in entries if one.name.endswith(".order"))
    except FileNotFoundError:
        return []


def give(folder: Path, order: LockOrder, settings: BufferSettings, clock: Clock) -> None:
    """Have `order` carried out, by the worker or in its place.

    Raises the `StorageError` of the refusal, or storage.worker_silent.
    """
    try:
        with FileLock(folder / WORKER_LOCK, clock, patience_s=0.0):
            index = Index(folder)
            try:
                locks = Locks(
                    folder, index, settings, clock, lambda: capacity_of(folder, settings, 1)
                )
                reply = carry_out(locks, order, clock)
            finally:
                index.close()
    except StorageError as error:
        if error.code != "storage.in_use":
            raise
        reply = _ask_worker(folder, order, clock)
    if reply.code:
        raise StorageError(reply.code, reply.message, hint=reply.hint)


def _ask_worker(folder: Path, order: LockOrder, clock: Clock) -> LockReply:
    box = folder / ORDERS
    box.mkdir(exist_ok=True)
    path = box / f"{order.request_id}.order"
    answer = path.with_suffix(".answer")
    scratch = path.with_suffix(".new")
    scratch.write_bytes(msgspec.json.encode(order))
    scratch.replace(path)
    until_s, nobody = clock.monotonic_s() + ANSWER_WITHIN_S, threading.Event()
    while clock.monotonic_s() < until_s:
        with suppress(FileNotFoundError):
            reply = msgspec.json.decode(answer.read_bytes(), type=LockReply)
            answer.unlink()
            return reply
        wait_s(nobody, _POLL_S)
    path.unlink(missing_ok=True)
    raise StorageError(
        "storage.worker_silent",
        "The camera's process holds the recordings, but does not answer.",
        hint="Look at `poleside health`; try again in a minute.",
        retryable=True,
    )
