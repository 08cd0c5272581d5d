"""What an idle box queues for its center in a day: the real reporters, through a made-up day.

Four cameras record without a pause, each minute's head is signed, and what is 30 days old goes
every ten minutes. The reporters of the core look on by a clock of their own.
"""

import asyncio
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.app import coverage, evidence_report
from agent.app.coverage import CoverageReporter
from agent.app.evidence_report import EvidenceReporter
from agent.app.health_hour import HealthReporter, Look
from agent.buffer import journal, ledger
from agent.buffer.index import Index, micros
from agent.buffer.journal import Doomed
from agent.contract.events import StreamName
from agent.contract.telemetry import BoardSample
from agent.core.db import Database
from agent.evidence import schema, told_heads
from agent.evidence.chain_index import ChainWriter, RunFacts
from agent.evidence.gop import Gop, Origin
from agent.evidence.key_store import open_box_key
from agent.messages.worker import (
    CameraState,
    CameraStatus,
    DetectionStatus,
    RecordingStatus,
    StreamStatus,
)
from agent.outbox import audit, store
from agent.outbox.store import Store
from agent.outbox.writer import Outbox
from tests.fake_clock import FakeClock
from tests.spine import ADDRESS

CAMERAS = tuple(f"cam-{number}" for number in range(1, 5))
_MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)
_SEGMENT_S, _FPS = 10, 15
_PURGE_EVERY = 10  # minutes, as the worker's upkeep does
_SEGMENT_BYTES = 2_000_000
_MONTH = timedelta(days=30)


class _Camera:
    """One camera's index, written to as its worker does."""

    def __init__(self, folder: Path, camera_id: str, key, clock: FakeClock) -> None:
        folder.mkdir(parents=True)
        self.camera_id, self._key, self._clock = camera_id, key, clock
        self.index = Index(folder, [schema.PART, ledger.PART])
        self._chain = ChainWriter(ADDRESS.box, camera_id, lambda: key, clock)
        self._run = RunFacts(1, "h264", b"p" * 32, micros(clock.utc_now()), "ntp")
        self._made = 0
        with self.index.transaction() as db:
            db.execute(
                "INSERT INTO runs (run_id, stream, codec, width_px, height_px, started_utc_us,"
                " started_mono_us, boot_id, time_quality)"
                " VALUES (1, 'main', 'h264', 1920, 1080, ?, 0, 'b', 'ntp')",
                (self._run.started_us,),
            )
            db.execute("INSERT INTO rates VALUES (0, ?)", (_FPS * 1000,))

    def record(self, minutes: int) -> None:
        """Record these last minutes, and sign the head after each."""
        begin_us = micros(self._clock.utc_now()) - minutes * 60_000_000
        with self.index.transaction() as db:
            for at_us in range(begin_us, begin_us + minutes * 60_000_000, _SEGMENT_S * 1_000_000):
                gops = [
                    Gop(0, at_us + s * 1_000_000, _FPS, 200_000, b"g" * 32)
                    for s in range(_SEGMENT_S)
                ]
                segment_id = self._segment(db, at_us)
                self._chain.append(db, self._run, segment_id, gops, Origin.LIVE)
                self._chain.sign_if_due(db, at_once=False)
                if at_us % 60_000_000 == 0:
                    values = at_us // 60_000_000, 60 * _FPS
                    db.execute("INSERT INTO minutes VALUES (?, ?)", values)

    def purge(self) -> None:
        """Delete ten minutes of a month ago, and sign for it."""
        now, doomed = self._clock.utc_now(), []
        with self.index.transaction() as db:
            for number in range(_PURGE_EVERY * 60 // _SEGMENT_S):
                at_us = micros(now - _MONTH) + number * _SEGMENT_S * 1_000_000
                row = self._segment(db, at_us)
                doomed.append(
                    Doomed(row, f"{row}.mp4", _SEGMENT_BYTES, at_us, _SEGMENT_S * 1_000_000, "age")
                )
        journal.forget(self.index, doomed, now)
        sign = lambda body: (self._key.public.fingerprint, self._key.sign(body))  # noqa: E731
        journal.sign_deletions(self.index, self.camera_id, sign, now)

    def _segment(self, db, at_us: int) -> int:
        self._made += 1
        db.execute(
            "INSERT INTO segments (segment_id, run_id, path, state, start_utc_us, duration_us,"
            " frames, bytes) VALUES (?, 1, ?, 'closed', ?, ?, ?, ?)",
            (
                self._made,
                f"{self._made}.mp4",
                at_us,
                _SEGMENT_S * 1_000_000,
                _FPS * _SEGMENT_S,
                _SEGMENT_BYTES,
            ),
        )
        return self._made


def _look(clock: FakeClock) -> Look:
    """Return what an idle box sees of itself."""
    minutes = round(clock.monotonic_s() / 60)
    statuses = [
        CameraStatus(
            camera_id=camera_id,
            main=_stream("main", 15.0 + minutes % 3 / 10, minutes * 900),
            sub=_stream("sub", 5.0, minutes * 300),
            recording=RecordingStatus(recording=True),
            detection=DetectionStatus(state="ready", since=_MIDNIGHT),
        )
        for camera_id in CAMERAS
    ]
    board = BoardSample(
        temperature_c=50.0 + minutes % 11,
        cpu_pct=20.0 + minutes % 7,
        memory_free_bytes=2_000_000_000 + minutes * 4096,
        disk_free_bytes=120_000_000_000 - minutes * 4096,
    )
    return Look(board, CAMERAS, statuses, True, 1, 30.0 + minutes % 5, 60.0 + minutes % 9)


def _stream(name: str, fps: float, frames: int) -> StreamStatus:
    return StreamStatus(
        name=name, state=CameraState.ONLINE, since=_MIDNIGHT, fps=fps, frames_total=frames
    )


async def records_of_a_day(folder: Path, hours: int = 24) -> list[tuple[StreamName, bytes]]:
    """Return what was queued from midnight on, in so many hours."""
    clock, key = FakeClock(_MIDNIGHT), open_box_key(folder)
    parts = [store.PART, audit.PART, coverage.PART, evidence_report.PART, told_heads.PART]
    db = Database(folder / "box.db", parts)
    await db.start()
    outbox = Outbox(db, Store(clock, 1, max_bytes=50_000_000), clock)
    await outbox.start()
    told = (clock, db, outbox, lambda: key, ADDRESS.source, folder, lambda: list(CAMERAS))
    reporters = CoverageReporter(*told), EvidenceReporter(*told)
    health = HealthReporter(clock, outbox, ADDRESS.source, lambda: _look(clock))
    with ExitStack() as opened:
        cameras = [_Camera(folder / "cameras" / one, one, key, clock) for one in CAMERAS]
        for camera in cameras:
            opened.enter_context(closing(camera.index))
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(health.run())
            await clock.rests()
            for minute in range(1, hours * 60 + 11):  # the day's coverage is told after midnight
                await clock.advance(60)
                if minute % _PURGE_EVERY:
                    continue
                for camera in cameras:
                    camera.record(_PURGE_EVERY)
                    camera.purge()
                for reporter in reporters:
                    await reporter.tell_what_is_due()
            running.cancel()
        streams = (StreamName.AUDIT, StreamName.TELEMETRY)
        found = [
            (stream, record.body)
            for stream in streams
            for record in await outbox.read(stream, 0, 1000, 5_000_000)
        ]
    await db.stop()
    return found
