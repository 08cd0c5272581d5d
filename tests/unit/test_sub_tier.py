"""The sub stream is recorded beside the main one, and remains when old main video goes."""

import json
import shutil
from contextlib import closing
from datetime import timedelta

import pytest

from agent.buffer import journal, ledger, reading, report
from agent.buffer.check import Check, compare
from agent.buffer.due import SUB_TIER
from agent.buffer.index import INDEX_FILE, MAIN, SUB
from agent.buffer.locks import Lock, LockKind, Locks
from agent.buffer.rebuild import open_index
from agent.buffer.recovery import KILLED, recover
from agent.evidence.schema import PART
from tests.chained_tape import poleside
from tests.fake_clock import FakeClock
from tests.footage_maker import make_clip
from tests.recording import BOOT
from tests.two_streams import TwoStreams

DAY_S = 86_400.0


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return (
        make_clip(folder / "main.mp4", fps=10, seconds=10, size_px=(320, 240)),
        make_clip(folder / "sub.mp4", fps=5, seconds=10, size_px=(160, 120)),
    )


@pytest.fixture
def tape(tmp_path):
    tape = TwoStreams(tmp_path / "box", sub_after_days=5.0)
    yield tape
    tape.index.close()


def told(*words):
    done = poleside(*words)
    return json.loads(done.stdout)


def test_both_streams_are_recorded_each_with_its_own_runs_gaps_and_chain(tape, clips):
    tape.record(*clips, cause="camera-closed")
    tape.clock.pass_s(30)
    tape.record(*clips, cause="stopped")
    began, now = (tape.clock.utc_now() + timedelta(minutes=by) for by in (-5, 1))
    assert {(row["stream"], row["ended_cause"]) for row in tape.rows("runs")} == {
        (stream, cause) for stream in (MAIN, SUB) for cause in ("camera-closed", "stopped")
    }
    for stream, frames in ((MAIN, 200), (SUB, 100)):
        assert sum(row["frames"] for row in tape.of(stream)) == frames
        found = reading.segments(tape.folder, began, now, stream)
        assert {one.path.name.partition("-")[0] for one in found} == {stream}
        gaps = reading.gaps(tape.folder, began, now, stream)
        assert [gap.cause for gap in gaps] == ["camera-closed", "stopped"]
        assert 29 < (gaps[0].until - gaps[0].since).total_seconds() < 31
    assert compare(tape.index._db, tape.folder).is_clean


def test_one_stream_may_fail_while_the_other_goes_on(tape, clips):
    tape.record(*clips, cause="camera-closed")
    tape.record(clips[0], cause="stopped")
    now = tape.clock.utc_now() + timedelta(minutes=1)
    main = reading.gaps(tape.folder, now - timedelta(hours=1), now, MAIN)
    (sub,) = reading.gaps(tape.folder, now - timedelta(hours=1), now, SUB)
    assert main[0].until is not None
    assert sub.until is None


def test_old_main_video_goes_where_the_sub_stream_remains_and_the_journal_says_so(tape, clips):
    tape.record(*clips)
    tape.record(clips[0])  # of this time there is no sub stream
    kept = [row["path"] for row in tape.of(SUB)]
    alone = [row["path"] for row in tape.of(MAIN)][-5:]
    tape.clock.pass_s(6 * DAY_S)
    assert tape.retention.prune() == 5
    assert [row["path"] for row in tape.of(MAIN)] == alone
    assert [row["path"] for row in tape.of(SUB)] == kept
    assert {row["rule"] for row in tape.rows("deletions")} == {SUB_TIER}
    signer = lambda body: (tape.key.public.fingerprint, tape.key.sign(body))  # noqa: E731
    purge = journal.sign_deletions(tape.index, "gate", signer, tape.clock.utc_now())
    assert purge.rules == {SUB_TIER: 5}
    assert tape.retention.prune() == 0
    tape.clock.pass_s(30 * DAY_S)
    tape.retention.prune()
    assert tape.segments() == []  # age takes both


def test_a_locked_span_keeps_both_streams(tape, clips):
    began = tape.clock.utc_now()
    tape.record(*clips)
    locks = Locks(tape.folder, tape.index, tape.settings, tape.clock, lambda: 10**9)
    week = began + timedelta(days=7)
    span = (began + timedelta(seconds=1), began + timedelta(seconds=3))
    locks.add(Lock("a", LockKind.EVIDENCE, *span, "case", "Kim", began, week))
    tape.clock.pass_s(6 * DAY_S)
    tape.retention.prune()
    assert len(tape.of(MAIN)) == 2
    assert len(tape.of(SUB)) == 5


def test_under_pressure_the_oldest_of_both_goes_first(tmp_path, clips):
    tape = TwoStreams(tmp_path / "box", max_bytes=1)
    for _ in range(3):
        tape.record(*clips)
    tape.index._db.execute("UPDATE usage SET bytes = 1 + (SELECT sum(bytes) / 2 FROM segments)")
    tape.retention.prune()
    left = {stream: tape.of(stream) for stream in (MAIN, SUB)}
    assert all(left.values())
    oldest = [rows[0]["start_utc_us"] for rows in left.values()]
    assert abs(oldest[0] - oldest[1]) <= 2_000_000
    tape.index.close()


def test_the_ledger_counts_the_main_stream_and_tells_the_tier(tape, clips):
    began = tape.clock.utc_now()
    for _ in range(12):
        tape.record(*clips)
    span = (began, began + timedelta(minutes=2))
    before = list(ledger.account(tape.folder, *span))
    assert [(row.stored, row.tier) for row in before] == [(600, "full")] * 2
    tape.clock.pass_s(6 * DAY_S)
    tape.retention.prune()
    after = list(ledger.account(tape.folder, *span))
    assert [(row.stored, row.tier, row.causes) for row in after] == [
        (row.stored, "sub", row.causes) for row in before
    ]
    tape.clock.pass_s(30 * DAY_S)
    tape.retention.prune()
    assert {row.tier for row in ledger.account(tape.folder, *span)} == {"none"}


def test_a_kill_in_both_streams_is_put_right_in_both(tape, clips):
    tape.record(*clips, cause=None, frames=100)
    paths = [row["path"] for row in tape.segments() if row["state"] == "open"]
    assert sorted(path.rpartition("/")[2][:4] for path in paths) == ["main", "sub-"]
    for recorder in tape.recorders.values():
        recorder._file.abandon()
    observers = {MAIN: [ledger.Ledger(), tape.chains[MAIN]], SUB: [tape.chains[SUB]]}
    for stream in (MAIN, SUB):
        assert recover(tape.folder, tape.index, BOOT, observers[stream], stream=stream) == KILLED
    assert {row["state"] for row in tape.segments()} == {"closed"}
    assert sorted(row["stream"] for row in tape.rows("gaps")) == [MAIN, SUB]
    (counted,) = tape.index._db.execute("SELECT sum(stored) FROM minutes").fetchone()
    assert counted == sum(row["frames"] for row in tape.of(MAIN))
    assert compare(tape.index._db, tape.folder).is_clean


def test_recovering_one_stream_leaves_the_open_file_of_the_other_alone(tape, clips):
    tape.record(*clips, cause=None, frames=100)
    (open_sub,) = [row["path"] for row in tape.of(SUB) if row["state"] == "open"]
    tape.recorders[MAIN]._file.abandon()
    recover(tape.folder, tape.index, BOOT, stream=MAIN)
    assert (tape.folder / open_sub).exists()
    assert [row["path"] for row in tape.of(SUB) if row["state"] == "open"] == [open_sub]
    tape.recorders[SUB].run_ended("stopped")


def test_a_lost_index_is_made_anew_with_both_streams(tape, clips):
    tape.record(*clips)
    tape.index.close()
    for file in tape.folder.glob(f"{INDEX_FILE}*"):
        file.unlink()
    tape.index = open_index(tape.folder, [PART, ledger.PART], tape.clock)
    Check(tape.folder, tape.index, tape.clock).run()
    frames = {s: sum(row["frames"] for row in tape.of(s)) for s in (MAIN, SUB)}
    assert frames == {MAIN: 100, SUB: 50}
    runs = {row["run_id"]: row["stream"] for row in tape.rows("runs")}
    assert all(runs[row["run_id"]] == row["stream"] for row in tape.segments())


def test_a_clip_of_a_thinned_time_is_of_the_sub_stream_and_says_so(tape, clips, tmp_path):
    began = tape.clock.utc_now()
    tape.record(*clips)
    span = (began + timedelta(seconds=2), began + timedelta(seconds=6))
    words = ("clip", "export", "--camera", "gate", "--data-dir", tape.data_dir, "--json")
    words += ("--from", span[0].isoformat(), "--to", span[1].isoformat(), "--out")
    full = told(*words, tmp_path / "full.mp4")
    assert (full["stream"], full["frames"], full["whole"]) == ("main", 40, True)
    asked = told(*words, tmp_path / "asked.mp4", "--stream", "sub")
    assert (asked["stream"], asked["frames"], asked["whole"]) == ("sub", 20, True)
    tape.clock.pass_s(6 * DAY_S)
    tape.retention.prune()
    thinned = told(*words, tmp_path / "thinned.mp4")
    assert (thinned["stream"], thinned["frames"], thinned["whole"]) == ("sub", 20, True)
    verdict = told("clip", "verify", tmp_path / "thinned.mp4", "--json")
    assert (verdict["whole"], verdict["stream"]) == (True, "sub")
    assert any("sub stream" in note for note in verdict["notes"])
    refused = told(*words, tmp_path / "main.mp4", "--stream", "main")
    assert refused["code"] == "clip.nothing_recorded"


def test_status_and_dry_run_know_both_streams(tmp_path, clips):
    tape = TwoStreams(tmp_path / "box", clock=FakeClock(), sub_after_days=5.0)
    tape.record(*clips)
    tiers = report.camera_buffer(tape.folder, tape.clock.utc_now()).tiers
    assert [(one.stream, one.tier, one.segments) for one in tiers] == [
        (MAIN, "full", 5),
        (SUB, "full", 5),
    ]
    tape.clock.pass_s(6 * DAY_S)
    doomed = report.doomed(tape.folder, tape.settings, tape.clock, 1)
    assert {(one.stream, one.rule) for one in doomed} == {(MAIN, SUB_TIER)}
    tape.index.close()
    text = poleside("buffer", "status", "--data-dir", tape.data_dir).stdout
    assert "sub stream, full: 5 segments" in text
    gaps = told("buffer", "gaps", "--data-dir", tape.data_dir, "--stream", "sub", "--json",
                "--from", "2026-01-01T00:00Z", "--to", "2028-01-01T00:00Z")  # fmt: skip
    assert [gap["cause"] for gap in gaps["gaps"]] == ["lost"]
    shutil.rmtree(tape.folder / "video")
    with closing(reading.open_index_reader(tape.folder)) as db:
        assert compare(db, tape.folder).missing_files == 10
