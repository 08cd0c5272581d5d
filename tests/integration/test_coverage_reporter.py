"""Each ended day of each camera is told to the center once, signed by the box."""

import base64
from datetime import UTC, datetime

import msgspec
import pytest

from agent.app import coverage
from agent.app.coverage import CoverageReporter
from agent.buffer.ledger import PART, Ledger
from agent.contract.coverage import CoverageRecord
from agent.contract.events import StreamName
from agent.core.db import Database
from agent.evidence.key_store import open_box_key
from agent.outbox import store
from agent.outbox.store import Store
from agent.outbox.writer import Outbox
from tests.fake_clock import FakeClock
from tests.footage_maker import make_clip
from tests.recording import Tape


@pytest.fixture
async def box(tmp_path):
    clock = FakeClock(datetime(2026, 11, 22, 23, 58, tzinfo=UTC))
    db = Database(tmp_path / "box.db", [store.PART, coverage.PART])
    await db.start()
    outbox = Outbox(db, Store(clock, 1, max_bytes=1_000_000), clock)
    await outbox.start()
    reporter = CoverageReporter(
        clock,
        db,
        outbox,
        lambda: open_box_key(tmp_path),
        "edge/site/box",
        tmp_path,
        lambda: ["gate", "never-seen"],
    )
    yield clock, outbox, reporter, tmp_path
    await db.stop()


async def told(outbox):
    found = await outbox.read(StreamName.TELEMETRY, 0, 50, 100_000)
    return [msgspec.json.decode(record.body, type=CoverageRecord) for record in found]


async def test_an_ended_day_is_told_once_and_its_signature_holds(box, tmp_path):
    clock, outbox, reporter, data_dir = box
    clip = make_clip(tmp_path / "clip.mp4", fps=10, seconds=60, size_px=(64, 48))
    tape = Tape(data_dir / "cameras" / "gate", clock, parts=[PART], observers=[Ledger()])
    tape.record(clip, cause="camera-closed")
    tape.index.close()
    await reporter.tell_what_is_due()
    assert await told(outbox) == []  # the day is not over

    await clock.advance(600)
    await reporter.tell_what_is_due()
    await reporter.tell_what_is_due()

    (record,) = await told(outbox)
    assert (record.data.camera_id, record.data.day) == ("gate", "2026-11-22")
    assert (record.data.minutes, record.data.covered) == (1440, 1)
    assert record.data.frames_stored == 600
    assert record.data.missing_s["camera-closed"] == pytest.approx(60.0, abs=1.0)
    key = open_box_key(data_dir).public
    signature = base64.urlsafe_b64decode(record.signature + "==")
    assert record.key == key.fingerprint
    assert key.verifies(signature, record.data.to_sign())
    forged = msgspec.structs.replace(record.data, covered=1440)
    assert not key.verifies(signature, forged.to_sign())
