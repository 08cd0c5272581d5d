"""What reached the disk, no more and no less: segments, runs, and gaps with their cause."""

import threading
from itertools import pairwise

import av
import pytest

from agent.buffer import reading
from agent.buffer.index import from_micros
from tests.footage_maker import make_clip
from tests.recording import Tape, frames_in, packets_of


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, seconds=9, size_px=(160, 120))


@pytest.fixture
def tape(tmp_path):
    tape = Tape(tmp_path / "camera")
    yield tape
    tape.index.close()


def test_every_frame_handed_over_is_on_the_disk_in_segments_without_a_seam(tape, clip):
    fed = tape.record(clip)

    segments = tape.segments()
    assert len(segments) == 5
    assert {segment["state"] for segment in segments} == {"closed"}
    for segment in segments:
        path = tape.folder / segment["path"]
        assert frames_in(path) == segment["frames"]
        assert path.stat().st_size == segment["bytes"]
    for before, after in pairwise(segments):
        assert before["start_utc_us"] + before["duration_us"] == after["start_utc_us"]
    assert sum(segment["frames"] for segment in segments) == fed == 90
    assert tape.video_files() == [tape.folder / segment["path"] for segment in segments]


def test_segments_start_with_a_key_frame_and_are_cut_at_the_first_one_after_their_length(
    tmp_path, clip
):
    tape = Tape(tmp_path / "camera", segment_s=2.5)  # a key frame a second
    tape.record(clip)
    assert [segment["duration_us"] for segment in tape.segments()] == [3_000_000] * 3
    for path in tape.video_files():
        with av.open(str(path)) as container:
            assert next(packets_of(container)).is_keyframe
    tape.index.close()


def test_the_end_of_a_run_opens_a_gap_with_its_cause_and_the_next_run_closes_it(tape, clip):
    tape.record(clip, cause="timeout")
    (gap,) = tape.rows("gaps")
    last = tape.segments()[-1]
    assert (gap["cause"], gap["to_utc_us"]) == ("timeout", None)
    assert gap["from_utc_us"] == last["start_utc_us"] + last["duration_us"]

    tape.clock.pass_s(7.0)
    tape.record(clip, cause="lost", frames=20)

    first_gap, second_gap = tape.rows("gaps")
    assert first_gap["to_utc_us"] - first_gap["from_utc_us"] == 7_000_000
    assert second_gap["cause"] == "lost"
    assert [run["ended_cause"] for run in tape.rows("runs")] == ["timeout", "lost"]
    assert tape.recorder.status.gaps_total == 2


def test_a_step_of_the_wall_clock_moves_nothing_inside_a_run(tape, clip):
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        tape.recorder.run_started(stream, "h264", (160, 120))
        for number, packet in enumerate(packets_of(container)):
            if number == 30:
                tape.clock._at = tape.clock._at.replace(year=2031)
            tape.clock.pass_s(float(packet.duration * packet.time_base))
            tape.recorder.packet(packet, tape.clock.monotonic_s())
        tape.recorder.run_ended("lost")
    for before, after in pairwise(tape.segments()):
        assert before["start_utc_us"] + before["duration_us"] == after["start_utc_us"]


def test_a_run_without_a_frame_leaves_no_trace(tape, clip):
    tape.record(clip, frames=0)
    assert not any(tape.rows(table) for table in ("runs", "segments", "gaps"))


def test_the_status_counts_the_open_segment_and_says_whether_it_records(tape, clip):
    assert not tape.recorder.status.recording
    with av.open(str(clip)) as container:
        tape.recorder.run_started(container.streams.video[0], "h264", (160, 120))
        for fed, packet in enumerate(packets_of(container), start=1):
            tape.recorder.packet(packet, tape.clock.monotonic_s())
            assert tape.recorder.status.frames_total == fed
            assert tape.recorder.status.recording
        tape.recorder.run_ended("lost")
    assert not tape.recorder.status.recording
    assert tape.recorder.status.bytes_total == sum(f.stat().st_size for f in tape.video_files())


def test_syncing_beside_the_recording_disturbs_nothing(tmp_path, clip):
    tape = Tape(tmp_path / "camera", sync_s=0.5)
    stop = threading.Event()
    syncing = threading.Thread(target=tape.recorder.keep_synced, args=(stop,))
    syncing.start()
    for _ in range(5):
        tape.record(clip)
    stop.wait(0.6)
    stop.set()
    syncing.join()
    assert sum(frames_in(path) for path in tape.video_files()) == 5 * 90
    tape.index.close()


def test_readers_see_the_timeline_beside_the_writer(tape, clip):
    tape.record(clip, cause="lost")
    start = from_micros(tape.segments()[0]["start_utc_us"])
    tape.clock.pass_s(5.0)
    tape.record(clip, cause=None, frames=10)
    now = tape.clock.utc_now()

    segments = reading.segments(tape.folder, start, now)
    assert [segment.is_open for segment in segments] == [False] * 5 + [True]
    assert segments[-1].end_at is None
    assert segments[0].end_at == segments[1].start_at
    (gap,) = reading.gaps(tape.folder, start, now)
    assert (gap.until - gap.since).total_seconds() == 5.0
    assert reading.totals(tape.folder).frames == 90
    assert reading.segments(tape.folder, now.replace(year=2000), start) == []
