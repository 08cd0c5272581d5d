"""A full disk: the gap says so, the oldest gives way, and recording goes on by itself."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from agent.core.errors import StorageError
from agent.core.sqlite import open_reader
from tests.fake_clock import FakeClock
from tests.faults.crash_lab import disk
from tests.footage_maker import make_clip
from tests.recording import Tape, frames_in

DISK_BYTES = 6 * 1024 * 1024


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, seconds=20, size_px=(640, 480))  # about 190 kB a second


LEAVES_A_WAL = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA journal_mode=WAL")
database.execute("CREATE TABLE notes (note TEXT)")
database.execute("INSERT INTO notes VALUES ('kept')")
os._exit(9)
"""


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of a few megabytes."""
    with disk.tmpfs(tmp_path / "disk", f"size={DISK_BYTES}") as folder:
        yield folder


def fill(disk: Path, leave_bytes: int) -> Path:
    """Somebody else takes the room."""
    ballast = disk / "ballast"
    facts = os.statvfs(disk)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, facts.f_bavail * facts.f_frsize - leave_bytes)
    return ballast


def is_consistent(tape):
    files = [tape.folder / segment["path"] for segment in tape.segments()]
    return tape.video_files() == files and all(
        frames_in(tape.folder / s["path"]) == s["frames"] for s in tape.segments()
    )


def test_a_full_disk_is_said_with_its_code_and_heals_without_a_restart(small_disk, clip):
    tape = Tape(small_disk / "camera")
    tape.record(clip, cause="lost")
    fill(small_disk, leave_bytes=300_000)

    tape.record(clip, cause="lost")

    gaps = tape.rows("gaps")
    full = [gap for gap in gaps if gap["cause"] == "disk-full"]
    assert full
    # five seconds until the next try, and the key frame after it
    assert all(
        0 < gap["to_utc_us"] - gap["from_utc_us"] <= 10e6 for gap in full if gap["to_utc_us"]
    )
    assert full[0]["to_utc_us"] is not None
    assert {row["rule"] for row in tape.rows("deletions")} == {"disk-full"}
    deleted = [row["path"] for row in tape.rows("deletions")]
    assert deleted == sorted(deleted)
    assert tape.segments()[-1]["start_utc_us"] >= full[0]["to_utc_us"]
    assert is_consistent(tape)
    tape.index.close()


def test_while_the_disk_refuses_nothing_is_said_to_be_recorded(small_disk, clip):
    tape = Tape(small_disk / "camera")
    ballast = fill(small_disk, leave_bytes=700_000)

    tape.record(clip, cause=None)

    status = tape.recorder.status
    assert (status.recording, status.fault_code) == (False, "storage.full")
    assert "No space left" in status.fault_detail or "is full" in status.fault_detail

    ballast.unlink()
    tape.clock.pass_s(6.0)
    tape.recorder.run_ended("lost")
    tape.record(clip, cause="lost")
    status = tape.recorder.status
    assert status.fault_code is None
    assert is_consistent(tape)
    assert sum(s["frames"] for s in tape.segments()[-10:]) == 200
    tape.index.close()


def test_a_camera_on_another_disk_never_notices(small_disk, tmp_path, clip):
    clock = FakeClock()
    here, there = Tape(small_disk / "camera", clock), Tape(tmp_path / "camera", clock)
    for _ in range(2):
        here.record(clip)
        there.record(clip)
    assert any(gap["cause"] == "disk-full" for gap in here.rows("gaps"))
    assert sum(segment["frames"] for segment in there.segments()) == 400
    assert [gap["cause"] for gap in there.rows("gaps")] == ["lost", "lost"]
    here.index.close()
    there.index.close()


def test_an_index_that_can_not_be_written_costs_frames_but_never_the_thread(tmp_path, clip):
    tape = Tape(tmp_path / "camera")
    tape.record(clip)
    pages = tape.index._db.execute("PRAGMA page_count").fetchone()[0]
    tape.index._db.execute(f"PRAGMA max_page_count={pages}")
    tape.index._db.execute("CREATE TEMP TABLE filler (x)")
    name = "x" * 3000  # the next rows need a page more
    tape.index._db.execute("CREATE TEMP TRIGGER fat AFTER INSERT ON segments BEGIN"
                           f" UPDATE segments SET path = path || '{name}'"
                           " WHERE segment_id = new.segment_id; END")  # fmt: skip

    tape.record(clip, cause="lost")
    assert tape.recorder.status.fault_code == "storage.full"
    assert not tape.recorder.status.recording

    tape.index._db.execute("DROP TRIGGER fat")
    tape.index._db.execute("PRAGMA max_page_count=1000000")
    tape.clock.pass_s(6.0)
    tape.record(clip, cause="lost")
    assert tape.recorder.status.fault_code is None
    assert is_consistent(tape)
    tape.index.close()


def test_a_broken_index_is_an_error_with_a_code_and_deletes_nothing(tmp_path, clip):
    tape = Tape(tmp_path / "camera")
    tape.record(clip)
    tape.index._db.execute("ALTER TABLE segments RENAME TO elsewhere")

    tape.record(clip, cause="lost")

    assert tape.recorder.status.fault_code == "storage.error"
    assert tape.rows("deletions") == []
    assert sum(frames_in(path) for path in tape.video_files()) == 200
    tape.index.close()


def test_what_is_stored_can_be_read_on_a_full_disk_after_the_agent_died(tmp_path):
    with disk.tmpfs(tmp_path / "disk", "size=1m") as folder:
        writer = [sys.executable, "-c", LEAVES_A_WAL, str(folder / "a.db")]
        assert subprocess.run(writer, check=False).returncode == 9
        (folder / "a.db-shm").unlink()
        fill(folder, 0)
        with closing(open_reader(folder / "a.db")) as database:
            assert database.execute("SELECT note FROM notes").fetchall()[0]["note"] == "kept"


def test_a_database_that_can_not_be_read_is_said_in_words(tmp_path):
    (tmp_path / "a.db").write_bytes(b"SQLite format 3\0" + bytes(84))
    with pytest.raises(StorageError, match="can't be read"):
        open_reader(tmp_path / "a.db", ["CREATE TABLE a (b)"])
