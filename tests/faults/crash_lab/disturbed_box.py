"""The box's storage work while single storage calls fail, and what it says about that.

Runs in a process of its own, forked from a prepared server, so that a fault injector can be put on
it after everything is loaded. Speaks over a socket, which no injector touches.
"""

import asyncio
import errno
import io
import multiprocessing
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import av
import av.subtitles.stream  # else loaded when the first file is opened: not a storage call
import msgspec
import structlog

from agent.buffer.recovery import recover
from agent.core import log
from agent.core.errors import StorageError
from tests.faults.crash_lab.box_workload import CAMERA, DATABASE, MediaSleep, OutboxUser
from tests.recording import BOOT, Tape, packets_of

MODULE = "tests.faults.crash_lab.disturbed_box"
ROW_EVERY_FRAMES, HIT_EVERY_FRAMES = 10, 15
REPLY_S = 60.0


class Report(msgspec.Struct):
    """What the box was told while calls failed."""

    rows: dict[int, str] = msgspec.field(default_factory=dict)
    hits: list[str] = msgspec.field(default_factory=list)
    closed: dict[str, int] = msgspec.field(default_factory=dict)
    codes: list[str] = msgspec.field(default_factory=list)
    handed: int = 0
    fault_at_end: str | None = None


@dataclass(slots=True)
class _Box:
    tape: Tape
    user: OutboxUser
    sleep: MediaSleep = field(default_factory=MediaSleep)
    report: Report = field(default_factory=Report)

    async def feed(self, clip: bytes, prefix: str) -> None:
        """Record the clip as one run and queue what happens meanwhile."""
        tape, report = self.tape, self.report
        with av.open(io.BytesIO(clip)) as container:
            stream = container.streams.video[0]
            tape.recorder.run_started(stream, "h264", (stream.width, stream.height))
            for number, packet in enumerate(packets_of(container), start=1):
                tape.clock.pass_s(1 / float(stream.average_rate))
                self.sleep.pass_to(tape.clock.monotonic_s())
                tape.recorder.packet(packet, tape.clock.monotonic_s())
                report.handed += 1
                self._look()
                if number % HIT_EVERY_FRAMES == 0:
                    self._hit(f"{prefix}-{number}")
                if number % ROW_EVERY_FRAMES == 0:
                    await self._queue(f"{prefix}-{number}")
            tape.recorder.run_ended("lost")
            self._look()

    def _look(self) -> None:
        """Note what the box says of itself, and which segments it calls stored."""
        status = self.tape.recorder.status
        if status.fault_code is not None and status.fault_code not in self.report.codes:
            self.report.codes.append(status.fault_code)
        self.report.fault_at_end = status.fault_code

    def _hit(self, hit_id: str) -> None:
        now = self.tape.clock
        try:
            self.tape.index.keep_hit(hit_id, now.utc_now(), now.monotonic_s(), "began", b"x" * 100)
        except StorageError as error:
            self.report.codes.append(error.code)
        else:
            self.report.hits.append(hit_id)

    async def _queue(self, name: str) -> None:
        try:
            self.report.rows[await self.user.append(name)] = name
        except StorageError as error:
            self.report.codes.append(error.code)

    def note_closed(self) -> None:
        for row in self.tape.segments():
            if row["state"] == "closed":
                self.report.closed[row["path"]] = row["frames"]


async def _live(folder: Path, clip: bytes, line: socket.socket) -> Report:
    box = _Box(Tape(folder / CAMERA, segment_s=2.0), OutboxUser(folder / DATABASE))
    await box.user.start()
    sync = threading.Thread(target=box.tape.recorder.keep_synced, args=(box.sleep,), daemon=True)
    sync.start()
    await box.feed(clip, "before")
    box.note_closed()  # acknowledged before the first fault
    for word, prefix in ((b"ready\n", "during"), (b"worked\n", "after")):
        line.sendall(word)
        line.recv(16)
        await box.feed(clip, prefix)
    await box.user.db.stop()
    box.sleep.end()
    sync.join()
    return box.report


async def _start(folder: Path, line: socket.socket) -> Report:
    """Take into use what is there, as the box does when it starts."""
    report = Report()
    line.sendall(b"ready\n")
    line.recv(16)
    try:
        tape, user = Tape(folder / CAMERA), OutboxUser(folder / DATABASE)
        recover(tape.folder, tape.index, BOOT)
        await user.start()
        await user.db.stop()
        tape.index.close()
    except StorageError as error:
        report.codes.append(error.code)
    except OSError as error:  # the process ends and is started again
        report.codes.append(errno.errorcode[error.errno or 0])
    line.sendall(b"worked\n")
    line.recv(16)
    return report


def quiet() -> None:
    """Keep the log in memory: a line to standard error would be one more write to fail."""
    log.configure("crash-lab", "error")
    structlog.configure(logger_factory=structlog.BytesLoggerFactory(io.BytesIO()))


def _main(folder: Path, clip: Path | None, line: socket.socket) -> None:
    quiet()
    with suppress(BrokenPipeError):
        work = _live(folder, clip.read_bytes(), line) if clip else _start(folder, line)
        report = asyncio.run(work)
        line.sendall(msgspec.json.encode(report) + b"\n")
        line.recv(16)  # the injector is gone: close in peace


class DisturbedBox:
    """The process, from outside: ready with a recording made; then disturbed until it reports."""

    def __init__(self, folder: Path, clip: Path | None) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([MODULE])
        self._line, theirs = socket.socketpair()
        self._line.settimeout(REPLY_S)
        self._reader = self._line.makefile("rb")
        self.process = context.Process(target=_main, args=(folder, clip, theirs), daemon=True)
        self.process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def ready(self) -> None:
        """Wait until all is loaded, opened and recorded once."""
        if self._reader.readline() != b"ready\n":
            raise RuntimeError("the box died before anything was done to it")

    def work(self) -> None:
        """Let it record the clip; return when it has."""
        self.begin()
        self.until_worked()

    def begin(self) -> None:
        self._line.sendall(b"go\n")

    def has_worked_within(self, seconds: float) -> bool:
        return bool(select.select([self._line], [], [], seconds)[0])

    def until_worked(self) -> None:
        self._reader.readline()

    def report(self) -> Report | None:
        """Let it record the clip once more; return what it says, None when it died."""
        self._line.sendall(b"go\n")
        line = self._reader.readline()
        return msgspec.json.decode(line, type=Report) if line else None

    def end(self) -> int | None:
        """Let it end by itself and return its exit code."""
        with suppress(OSError):
            self._line.sendall(b"end\n")
        self.process.join(10)
        return self.process.exitcode

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self._reader.close()
        self._line.close()


@contextmanager
def disturbed_box(folder: Path, clip: Path | None) -> Iterator[DisturbedBox]:
    """Start the box and see it ended; without a clip all it does is to start."""
    box = DisturbedBox(folder, clip)
    try:
        box.ready()
        yield box
    finally:
        box.kill()
