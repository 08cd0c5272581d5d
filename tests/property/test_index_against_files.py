"""Whatever is done to index or files, one look makes them agree, and no readable video is lost."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.buffer.check import Check, compare
from agent.buffer.index import INDEX_FILE
from agent.buffer.named_times import named_start
from agent.buffer.rebuild import DAMAGED_SUFFIX, open_index
from agent.buffer.segment_file import OPEN_SUFFIX, cut_torn_end, probe
from agent.buffer.tiers import Thinner
from tests.footage_maker import make_clip
from tests.recording import Tape, frames_in

SEGMENTS = 4
SHM = Path("/dev/shm") if Path("/dev/shm").is_dir() else None


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, seconds=2 * SEGMENTS, size_px=(96, 160))


def whole(tape):
    """Return whether index and files agree to the frame."""
    findings = compare(tape.index._db, tape.folder)
    rows = tape.segments()
    names = sorted(row["path"] for row in rows)
    files = [path.relative_to(tape.folder).as_posix() for path in tape.video_files()]
    return (
        findings.is_clean
        and names == files
        and all(probe(tape.folder / row["path"])[0] == row["frames"] for row in rows)
        and all((tape.folder / row["path"]).stat().st_size == row["bytes"] for row in rows)
    )


def whole_frames(path):
    """Return the frames of the file's whole fragments: a torn one is cut off."""
    copy = path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes())
    cut_torn_end(copy)
    frames = probe(copy)[0]
    copy.unlink()
    return frames


def run_check(tape):
    return Check(tape.folder, tape.index, tape.clock, tape.retention.deleting).run()


DAMAGES = st.lists(
    st.tuples(
        st.sampled_from(["no-file", "no-row", "cut", "grown", "empty", "stray", "thinned-twice"]),
        st.integers(0, SEGMENTS - 1),
        st.floats(0.05, 0.95),
    ),
    max_size=5,
)


def damage(tape, kind, row, share):
    path = tape.folder / row["path"]
    if kind == "no-row":
        tape.index._db.execute("DELETE FROM segments WHERE segment_id = ?", (row["segment_id"],))
    elif not path.exists():
        return
    elif kind == "no-file":
        path.unlink()
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[: round(share * path.stat().st_size)])
    elif kind == "grown":
        with path.open("ab") as file:
            file.write(b"\0" * round(share * 1000))
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "stray":
        path.with_name(f"main-000007-{round(share * 1e5):09d}.mp4").write_bytes(b"no video")
    else:  # a crash of the thinning: both files are there, the index names one of them
        path.with_name(f"{path.stem}-k.mp4").write_bytes(path.read_bytes())


@settings(max_examples=60, deadline=None)
@given(damages=DAMAGES)
def test_one_look_makes_index_and_files_agree(clip, damages):
    with tempfile.TemporaryDirectory(dir=SHM) as folder:
        tape = Tape(Path(folder) / "camera")
        tape.record(clip)
        rows = tape.segments()
        for kind, number, share in damages:
            damage(tape, kind, rows[number], share)
        readable = {
            named_start(path.relative_to(tape.folder).as_posix()): whole_frames(path)
            for path in tape.video_files()
            if not path.name.startswith("main-000007")
        }

        found = run_check(tape)

        assert whole(tape)
        kept = {named_start(row["path"]): row["frames"] for row in tape.segments()}
        assert kept == {start: frames for start, frames in readable.items() if frames}
        assert damages or found.is_clean
        assert run_check(tape).is_clean
        deleted = {row["path"]: row["rule"] for row in tape.rows("deletions")}
        assert set(deleted.values()) <= {"file-missing", "file-damaged"}
        gaps = [gap for gap in tape.rows("gaps") if gap["cause"].startswith("file-")]
        assert len(gaps) == len(deleted)
        tape.index.close()


@pytest.mark.parametrize("loss", ["deleted", "garbage", "torn"])
def test_a_lost_index_is_made_anew_from_the_files_alone(tmp_path, clip, loss):
    tape = Tape(tmp_path / "camera")
    tape.record(clip)
    tape.clock.pass_s(3600)
    tape.record(clip)
    before = tape.segments()
    tape.index.close()
    index_file = tape.folder / INDEX_FILE
    if loss == "deleted":
        index_file.unlink()
    elif loss == "garbage":
        index_file.write_bytes(b"this is no database" * 100)
    else:
        content = index_file.read_bytes()
        index_file.write_bytes(content[:4096] + b"\xff" * 8192 + content[12288:])

    tape.index = open_index(tape.folder, (), tape.clock)
    assert (tape.folder / f"{INDEX_FILE}{DAMAGED_SUFFIX}").exists() == (loss != "deleted")
    anew = Tape.__new__(Tape)
    anew.folder, anew.clock, anew.index = tape.folder, tape.clock, tape.index
    new_run = tape.index._db.execute("SELECT max(run_id) FROM runs").fetchone()[0]
    assert new_run == 2  # the next run bears a number of its own

    Check(tape.folder, tape.index, tape.clock).run()

    after = sorted(anew.segments(), key=lambda row: row["path"])
    for old, new in zip(before, after, strict=True):
        assert (new["path"], new["frames"], new["bytes"], new["duration_us"]) == (
            old["path"],
            old["frames"],
            old["bytes"],
            old["duration_us"],
        )
        assert abs(new["start_utc_us"] - old["start_utc_us"]) < 1000  # the name knows ms
        assert new["run_id"] == old["run_id"]
    assert {run["codec"] for run in anew.rows("runs")} == {"h264"}
    assert compare(tape.index._db, tape.folder).is_clean
    tape.index.close()


def test_a_sound_index_is_opened_as_it_is(tmp_path, clip):
    tape = Tape(tmp_path / "camera")
    tape.record(clip)
    tape.index.close()
    index = open_index(tape.folder, (), tape.clock)
    assert index._db.execute("SELECT count(*) FROM segments").fetchone()[0] == SEGMENTS
    assert not list(tape.folder.glob(f"*{DAMAGED_SUFFIX}*"))
    index.close()


def test_the_segment_being_written_is_never_touched(tmp_path, clip):
    tape = Tape(tmp_path / "camera")
    tape.record(clip, cause=None, frames=25)
    (open_row,) = [row for row in tape.segments() if row["state"] == "open"]
    assert run_check(tape).is_clean
    assert (tape.folder / open_row["path"]).exists()

    # finished on the disk, and the index has not heard of it yet
    tape.recorder._finish_segment()
    assert open_row["path"].endswith(OPEN_SUFFIX)
    assert run_check(tape).is_clean
    tape.recorder.run_ended("lost")
    assert whole(tape)
    tape.index.close()


def test_both_leftovers_of_a_thinning_that_crashed_are_removed(tmp_path, clip):
    tape = Tape(tmp_path / "camera")
    tape.record(clip)
    first, second, *_ = [tape.folder / row["path"] for row in tape.segments()]
    copy = second.read_bytes()
    tape.clock.pass_s(3600.0)
    thinner = Thinner(tape.folder, tape.index, after_days=0.01)
    assert thinner.thin_next(tape.clock.utc_now())
    assert thinner.thin_next(tape.clock.utc_now())
    first.write_bytes(copy)  # the crash came before the old file went
    assert run_check(tape).leftovers == 1
    assert not first.exists()
    assert whole(tape)
    assert frames_in(tape.folder / tape.segments()[0]["path"]) == 2
    tape.index.close()


def test_names_tell_run_and_time():
    run, start = named_start("video/2026-11-22/07/main-000012-075959123.mp4")
    assert run == 12
    assert start.isoformat() == "2026-11-22T07:59:59.123000+00:00"
    thinned = named_start("video/2026-11-22/07/main-000012-075959123-k.mp4")
    assert thinned == (run, start)
    for wrong in ("video/main-000012-075959123.mp4", "video/x/07/main-000012-075959123.mp4"):
        assert named_start(wrong) is None
    assert named_start("video/2026-11-22/07/holiday.mp4") is None
