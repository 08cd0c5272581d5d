"""The box's storage work: a camera recorded, hits kept, records queued; and what it was promised.

    python -m tests.faults.crash_lab.box_workload FOLDER CLIP NOTES LOG_FOLDER VARIANT

Media time passes as fast as the disk lets it: the sync thread sleeps in media time, too. Each note
is a line of JSON: what was stored (or handed over) and how long the medium's log was then.
Variants: `full` is the product, `normal` (SQLite's `synchronous=NORMAL`) and `no-sync` must lose.
"""

import asyncio
import functools
import hashlib
import itertools
import json
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import msgspec

from agent.contract.acks import Ack
from agent.contract.commands import Reply
from agent.contract.events import StreamName
from agent.core.clock import SystemClock
from agent.core.db import Database
from agent.core.errors import LinkError
from agent.messages import worker
from agent.messages.vision import HitState, RuleHit
from agent.messages.worker import HitReport
from agent.outbox import store
from agent.outbox.store import Store
from agent.outbox.writer import Outbox
from agent.settings.model import UploadSettings
from agent.uploads import queue
from agent.uploads.queue import NewFile
from agent.uploads.sender import Uploads
from tests.faults.crash_lab.block_log import length_of
from tests.recording import Tape, packets_of

CAMERA, DATABASE = "cameras/cam-1", "box.db"  # as in the data folder of a box
SEGMENT_S = 6.0
ROW_EVERY_FRAMES, HIT_EVERY_FRAMES, CENTER_EVERY_ROWS, FILE_EVERY_FRAMES = 4, 7, 25, 30
Note = Callable[..., None]


async def _no_center(_reply: Reply) -> None:
    raise LinkError("link.offline", "There is no center in the laboratory.")


class MediaSleep(threading.Event):
    """The stop event of a helper thread whose waits last media time: one thread at a time runs."""

    def __init__(self) -> None:
        super().__init__()
        self._turn = threading.Condition()
        self._now_s = 0.0
        self._due_s: float | None = None

    def wait(self, timeout: float | None = None) -> bool:
        with self._turn:
            self._due_s = due_s = self._now_s + (timeout or 0.0)
            self._turn.notify_all()
            self._turn.wait_for(lambda: self.is_set() or self._now_s >= due_s)
            self._due_s = None
            return self.is_set()

    def pass_to(self, now_s: float) -> None:
        """Let media time come to `now_s`; return when the helper sleeps again."""
        with self._turn:
            self._now_s = now_s
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._due_s is not None and self._due_s > now_s)

    def end(self) -> None:
        with self._turn:
            self.set()
            self._turn.notify_all()


class OutboxUser:
    """Queues records and notes each that was acknowledged."""

    def __init__(self, path: Path) -> None:
        clock = SystemClock()
        self.db = Database(path, [store.PART, queue.PART])
        self.outbox = Outbox(self.db, Store(clock, 1, max_bytes=64 << 20), clock)
        self.uploads = Uploads(clock, self.db, path.parent, _no_center, UploadSettings())

    async def start(self) -> None:
        await self.db.start()
        await self.outbox.start()
        await self.uploads.start()

    async def append(self, name: str) -> int:
        """Queue one record that carries `name`; return its number once it is stored."""
        body = msgspec.json.encode({"name": name, "filler": "x" * 300})
        return await self.outbox.append(StreamName.ALARM, lambda _seq: body, event_id=name)

    async def acknowledge(self, upto: int) -> None:
        await self.outbox.acknowledge({StreamName.ALARM: Ack(upto=upto, epoch=self.outbox.epoch)})

    async def queue_file(self, name: str) -> str:
        """Queue a file; return its SHA-256 once it is stored."""
        path, body = self.uploads.folder / f"{name}.mp4", name.encode() * 3000
        await asyncio.to_thread(path.write_bytes, body)
        sha256 = hashlib.sha256(body).hexdigest()
        await self.uploads.add(NewFile(name, path, "video/mp4", len(body), sha256, {}))
        return sha256

    async def part_sent(self, name: str) -> None:
        """Write down, as the sender does, that the store has the file's part."""
        await self.db.run(lambda connection: queue.part_sent(connection, name, 1, f"etag-{name}"))

    def names(self) -> dict[int, str]:
        """Return what is stored, by number."""
        with sqlite3.connect(self.db._path) as connection:
            rows = connection.execute("SELECT seq, event_id FROM outbox_a").fetchall()
        connection.close()
        return dict(rows)


def media(clip: Path, repeats: int) -> Iterator[tuple[av.VideoStream, Iterator[av.Packet]]]:
    """Yield the clip's stream and packets, `repeats` times as runs of their own."""
    for _ in range(repeats):
        with av.open(str(clip)) as container:
            yield container.streams.video[0], packets_of(container)


async def work(folder: Path, clip: Path, runs: int, note: Note) -> None:
    """Record and queue until the clip is over; nothing is closed: the power is cut at the end."""
    tape = Tape(folder / CAMERA, segment_s=SEGMENT_S)
    user = OutboxUser(folder / DATABASE)
    await user.start()
    sleep = MediaSleep()
    threading.Thread(target=tape.recorder.keep_synced, args=(sleep,), daemon=True).start()
    frames = itertools.count(1)
    started_s = tape.clock.monotonic_s()
    for stream, packets in media(clip, runs):
        tape.recorder.run_started(stream, "h264", (stream.width, stream.height))
        for packet in packets:
            tape.clock.pass_s(1 / float(stream.average_rate))
            sleep.pass_to(tape.clock.monotonic_s() - started_s)
            number = next(frames)
            is_key = packet.is_keyframe
            tape.recorder.packet(packet, tape.clock.monotonic_s())
            note("handed", frames=number)
            if is_key:
                _note_closed(tape, note)
            await _queue(tape, user, number, note)
        tape.recorder.run_ended("lost")
        _note_closed(tape, note)


async def _queue(tape: Tape, user: OutboxUser, number: int, note: Note) -> None:
    if number % HIT_EVERY_FRAMES == 0:
        hit_id = f"hit-{number}"
        now = tape.clock
        body = worker.encode(HitReport(hit=_rule_hit(hit_id, tape)))
        tape.index.keep_hit(hit_id, now.utc_now(), now.monotonic_s(), "began", body)
        note("hit", hit_id=hit_id)
    if number % FILE_EVERY_FRAMES == 0:
        name = f"file-{number}"
        note("file", name=name, sha256=await user.queue_file(name))
        await user.part_sent(name)
        note("part", name=name)
    if number % ROW_EVERY_FRAMES == 0:
        seq = await user.append(f"row-{number}")
        note("row", seq=seq, name=f"row-{number}")
        if seq % CENTER_EVERY_ROWS == 0:
            await user.acknowledge(seq - 5)
            note("watermark", upto=seq - 5)


def _rule_hit(hit_id: str, tape: Tape) -> RuleHit:
    return RuleHit(
        hit_id=hit_id,
        camera_id="cam-1",
        rule_id="yard",
        kind="intrusion",
        state=HitState.BEGAN,
        at=tape.clock.utc_now(),
        mono_s=tape.clock.monotonic_s(),
        tq=tape.clock.quality(),
    )


def _note_closed(tape: Tape, note: Note) -> None:
    """Note every segment the index says is closed: from now on it must never be missing."""
    for row in tape.segments():
        if row["state"] == "closed":
            note("closed", path=row["path"], frames=row["frames"])


class _NormalConnection(sqlite3.Connection):
    """What the product would be without its `synchronous=FULL`."""

    level = "NORMAL"

    def execute(self, sql: str, *arguments: object) -> sqlite3.Cursor:
        return super().execute(sql.replace("nous=FULL", f"nous={self.level}"), *arguments)


class _OffConnection(_NormalConnection):
    level = "OFF"


def weaken(variant: str) -> None:
    """Make this process a box that saves flushes."""
    if variant == "normal":
        sqlite3.connect = functools.partial(sqlite3.connect, factory=_NormalConnection)
    elif variant == "no-sync":
        sqlite3.connect = functools.partial(sqlite3.connect, factory=_OffConnection)
        os.fsync = os.fdatasync = lambda _handle: None


def main(folder: str, clip: str, notes: str, log_folder: str, variant: str, runs: str) -> None:
    weaken(variant)
    with Path(notes).open("w", encoding="ascii") as file:

        def note(kind: str, **facts: object) -> None:
            line = {"kind": kind, "at": length_of(Path(log_folder)), **facts}
            file.write(json.dumps(line) + "\n")

        note("begin")
        asyncio.run(work(Path(folder), Path(clip), int(runs), note))
        note("cut")
    os._exit(0)  # as a power cut: nobody gets to close anything


if __name__ == "__main__":
    main(*sys.argv[1:])
