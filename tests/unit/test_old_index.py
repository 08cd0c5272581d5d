"""An index that an older version wrote is read where it lies, and brought up to date by its writer.

`tests/old_files/index-4.sql` is what a box of schema 4 had written, before streams were told apart.
"""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.buffer import ledger, reading, report
from agent.buffer.index import INDEX_FILE, MAIN, SUB, Index
from agent.buffer.schema import MIGRATIONS
from agent.evidence.chain_index import read_head
from agent.evidence.schema import PART
from tests.footage_maker import make_clip
from tests.two_streams import TwoStreams

OLD = Path(__file__).parents[1] / "old_files" / "index-4.sql"
SINCE, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "box" / "cameras" / "gate"
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(folder / INDEX_FILE)) as db:
        db.executescript(OLD.read_text("utf-8"))
        assert db.execute("PRAGMA user_version").fetchone()[0] == 4 < len(MIGRATIONS)
    return folder


def test_it_is_read_without_being_changed(folder):
    before = (folder / INDEX_FILE).read_bytes()
    assert len(reading.segments(folder, SINCE, UNTIL)) == 6
    assert reading.segments(folder, SINCE, UNTIL, SUB) == []
    assert [gap.cause for gap in reading.gaps(folder, SINCE, UNTIL)] == ["lost", "stopped"]
    assert report.camera_buffer(folder, UNTIL).evidence_locks == 1
    first = reading.segments(folder, SINCE, UNTIL)[0].start_at.replace(second=0, microsecond=0)
    (minute,) = ledger.account(folder, first, first.replace(minute=first.minute + 1))
    assert (minute.stored, minute.mode, minute.tier) == (120, ledger.CONTINUOUS, "full")
    assert (folder / INDEX_FILE).read_bytes() == before


def test_its_writer_brings_it_up_to_date_and_loses_nothing(folder):
    with closing(sqlite3.connect(folder / INDEX_FILE)) as db:
        before = db.execute("SELECT path, bytes FROM segments").fetchall()
        head = db.execute("SELECT run_id, seq FROM chain_head").fetchone()
    index = Index(folder, [PART, ledger.PART])
    with index.reading() as db:
        rows = db.execute("SELECT path, bytes, stream FROM segments").fetchall()
        assert [tuple(row)[:2] for row in rows] == before
        assert {row["stream"] for row in rows} == {MAIN}
        assert (read_head(db).run_id, read_head(db).seq) == head
        assert read_head(db, SUB).seq == -1
    index.close()
    Index(folder, [PART, ledger.PART]).close()  # once is enough


def test_recording_and_chain_go_on_where_the_old_version_left_off(folder, tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", fps=10, seconds=4, size_px=(64, 48))
    with closing(sqlite3.connect(folder / INDEX_FILE)) as db:
        link = db.execute("SELECT link FROM chain_head").fetchone()[0]
    tape = TwoStreams(tmp_path / "box")
    with tape.index.reading() as db:
        assert read_head(db).link == link
    tape.clock.pass_s(60)
    tape.record(clip, clip, cause="stopped")
    assert [row["stream"] for row in tape.rows("runs")] == [MAIN, MAIN, MAIN, SUB]
    header = tape.index._db.execute("SELECT header FROM chain_runs WHERE run_id = 3").fetchone()[0]
    assert b"stream" not in header
    assert [row["to_utc_us"] is None for row in tape.rows("gaps")] == [False, False, True, True]
    tape.index.close()
