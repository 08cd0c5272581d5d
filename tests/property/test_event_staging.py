"""Event-only mode writes what events cover and nothing else, whatever dies in between."""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.buffer.stage import LOST
from tests.footage_maker import make_clip
from tests.recording import frames_in
from tests.staged_tape import StagedTape, reopened

SHM = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
SEGMENT_US = 2_000_000


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, seconds=8, size_px=(160, 120))


@pytest.fixture
def tape(tmp_path):
    made = StagedTape(tmp_path / "camera", tmp_path / "memory")
    yield made
    made.index.close()


def written_bytes(tape):
    return sum(file.stat().st_size for file in tape.video_files())


def test_without_an_event_no_video_is_ever_written(tape, clip):
    for _ in range(3):
        tape.record(clip)
        tape.stage.turn()
        tape.retention.prune()
    assert written_bytes(tape) == 0
    assert len(tape.staged()) == 12
    tape.clock.pass_s(400.0)
    tape.retention.prune()
    assert tape.staged() == []
    assert {row["rule"] for row in tape.rows("deletions")} == {"no-event"}
    tape.check()


def test_what_an_event_touches_is_written_with_its_time_before(tape, clip):
    tape.record(clip)
    rows = tape.segments()
    seen_us = rows[2]["start_utc_us"] + SEGMENT_US // 2
    tape.event("hit-1", seen_us - SEGMENT_US, seen_us)
    tape.stage.turn()
    written = [row for row in tape.segments() if row["path"].startswith("video/")]
    assert [row["segment_id"] for row in written] == [2, 3]
    assert [frames_in(tape.folder / row["path"]) for row in written] == [20, 20]
    tape.check()
    staged_still = [tape.folder / row["path"] for row in rows[1:3]]
    assert all(path.exists() for path in staged_still)  # a clip may be reading them
    tape.clock.pass_s(61.0)
    tape.stage.turn()
    assert not any(path.exists() for path in staged_still)


def test_while_an_event_lasts_segments_are_made_on_the_disk(tape, clip):
    tape.record(clip)
    tape.stage.event_began()
    tape.record(clip)
    assert [row["path"].split("/")[0] for row in tape.segments()] == ["staged"] * 4 + ["video"] * 4


def test_the_room_is_bounded_and_the_oldest_goes_first(tmp_path, clip):
    tape = StagedTape(tmp_path / "camera", tmp_path / "memory", limit_bytes=40_000)
    for _ in range(4):
        tape.record(clip)
        tape.stage.turn()
    rows = tape.staged()
    assert 0 < sum(row["bytes"] for row in rows) <= 40_000
    assert rows[-1]["segment_id"] == max(row["segment_id"] for row in tape.segments())
    assert {row["rule"] for row in tape.rows("deletions")} == {"stage-full"}
    tape.check()
    tape.index.close()


def test_a_power_cut_takes_what_was_in_memory_and_says_so(tape, clip):
    tape.record(clip)
    row = tape.segments()[1]
    tape.event("hit-1", row["start_utc_us"], row["start_utc_us"] + SEGMENT_US - 1)
    tape.stage.turn()
    tape.lose_power()
    again = reopened(tape)
    assert [one["segment_id"] for one in again.segments()] == [row["segment_id"]]
    lost = [gap for gap in again.rows("gaps") if gap["cause"] == LOST]
    assert [gap["to_utc_us"] - gap["from_utc_us"] for gap in lost] == [SEGMENT_US] * 3
    assert [one["rule"] for one in again.rows("deletions")] == [LOST] * 3
    again.check()


def test_back_in_continuous_mode_what_is_staged_is_kept(tape, clip):
    tape.record(clip)
    tape.stage._limit_bytes = 0
    again = reopened(tape)
    again.stage.turn()
    assert again.staged() == []
    assert len(again.video_files()) == 4
    again.check()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.integers(5, 60)),
        st.tuples(st.just("event"), st.integers(0, 12)),
        st.tuples(st.just("turn"), st.just(0)),
        st.tuples(st.just("prune"), st.sampled_from([1, 400])),
        st.tuples(st.just("kill"), st.just(0)),
        st.tuples(st.just("half-written"), st.just(0)),
        st.tuples(st.just("power"), st.just(0)),
    ),
    max_size=14,
)


def do(tape, clip, step, number):
    kind, size = step
    rows = tape.segments()
    if kind == "record":
        tape.record(clip, frames=size)
    elif kind == "event" and rows:
        row = rows[-1 - size % len(rows)]
        tape.event(f"hit-{number}", row["start_utc_us"], row["start_utc_us"] + 2 * SEGMENT_US)
    elif kind == "turn":
        tape.stage.turn()
    elif kind == "prune":
        tape.clock.pass_s(size)
        tape.retention.prune()
    elif kind == "half-written" and tape.staged():  # it died between the file and its row
        path = tape.staged()[0]["path"]
        target = tape.folder / path.replace("staged/", "video/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((tape.folder / path).read_bytes())
        return reopened(tape)
    elif kind == "kill":
        return reopened(tape)
    elif kind == "power":
        tape.lose_power()
        return reopened(tape)
    return tape


@settings(max_examples=25, deadline=None)
@given(steps=STEPS)
def test_rows_files_and_events_agree_after_any_history(clip, steps):
    with tempfile.TemporaryDirectory(dir=SHM) as folder:
        tape = StagedTape(Path(folder) / "camera", Path(folder) / "memory", limit_bytes=60_000)
        for number, step in enumerate(steps):
            tape = do(tape, clip, step, number)
            tape.check()
        tape.stage.turn()
        tape.check()
        held = [(row["from_utc_us"], row["to_utc_us"]) for row in tape.rows("locks")]
        for row in tape.staged():
            end_us = row["start_utc_us"] + row["duration_us"]
            assert not any(a < end_us and b > row["start_utc_us"] for a, b in held)
        assert sum(row["bytes"] for row in tape.staged()) <= 60_000
        tape.index.close()


WRITER = textwrap.dedent("""
    import sys, av
    from pathlib import Path
    from tests.recording import packets_of
    from tests.staged_tape import StagedTape
    tape = StagedTape(Path(sys.argv[1]) / "camera", Path(sys.argv[1]) / "memory")
    print("ready", flush=True)
    while True:
        tape.record(Path(sys.argv[2]))
        for row in tape.staged()[-3:]:
            tape.event(f"hit-{row['segment_id']}", row["start_utc_us"], row["start_utc_us"] + 1)
        tape.stage.turn()
""")


@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.11, 0.17, 0.23, 0.31])
def test_kill_9_at_any_moment_loses_nothing_of_an_event(tmp_path, clip, after_s):
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), str(clip)], stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(after_s)
        os.kill(process.pid, signal.SIGKILL)
    tape = StagedTape(tmp_path / "camera", tmp_path / "memory")
    tape.check()
    assert [gap for gap in tape.rows("gaps") if gap["cause"] == LOST] == []
    tape.stage.turn()
    held = {row["from_utc_us"] for row in tape.rows("locks")}
    written = {r["start_utc_us"] for r in tape.segments() if r["path"].startswith("video/")}
    assert held <= written
    tape.index.close()
