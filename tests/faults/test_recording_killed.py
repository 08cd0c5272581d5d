"""A worker killed in mid-segment: at most half a second is lost, and index and files agree."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from agent.buffer.index import Index
from agent.buffer.recovery import KILLED, POWER_CUT, recover
from tests.footage_maker import make_clip
from tests.recording import BOOT, Tape, frames_in

FPS = 10
WRITER = textwrap.dedent("""
    import sys, av
    from pathlib import Path
    from tests.recording import Tape, packets_of
    tape = Tape(Path(sys.argv[1]))
    sent = 0
    with av.open(sys.argv[2]) as container:
        stream = container.streams.video[0]
        tape.recorder.run_started(stream, "h264", (160, 120))
        for packet in packets_of(container):
            tape.recorder.packet(packet, tape.clock.monotonic_s())
            tape.clock.pass_s(0.1)
            sent += 1
            print(sent, flush=True)
            sys.stdin.readline()
""")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, fps=FPS, seconds=7, size_px=(160, 120))


def killed_writer(folder, clip, after):
    """Run a writer and kill it when it has handed over `after` frames."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(clip)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stdout:
            if int(line) == after:
                os.kill(process.pid, signal.SIGKILL)
                break
            process.stdin.write("\n")
            process.stdin.flush()
    finally:
        process.kill()
        process.stdout.close()
        process.stdin.close()
        process.wait()


@pytest.mark.parametrize("handed_over", [1, 4, 20, 21, 37, 63])
def test_kill_9_costs_at_most_half_a_second_and_every_file_opens(tmp_path, clip, handed_over):
    folder = tmp_path / "camera"
    killed_writer(folder, clip, handed_over)

    tape = Tape(folder)
    assert recover(folder, tape.index, BOOT) == KILLED

    segments = tape.segments()
    assert {segment["state"] for segment in segments} <= {"closed"}
    assert tape.video_files() == [folder / segment["path"] for segment in segments]
    for segment in segments:
        assert frames_in(folder / segment["path"]) == segment["frames"]
    kept = sum(segment["frames"] for segment in segments)
    assert handed_over - FPS / 2 <= kept <= handed_over
    if segments:
        (gap,) = tape.rows("gaps")
        last = segments[-1]
        assert gap["cause"] == KILLED
        assert gap["from_utc_us"] == last["start_utc_us"] + last["duration_us"]

    # and the next run goes on where this one broke off
    assert recover(folder, tape.index, BOOT) is None
    tape.clock.pass_s(60.0)
    tape.record(clip)
    assert all(gap["to_utc_us"] for gap in tape.rows("gaps")[:-1])
    tape.index.close()


def interrupted(folder, clip, boot=BOOT):
    """A recording whose process is gone without a word: nothing was closed."""
    tape = Tape(folder, boot=boot)
    tape.record(clip, cause=None, frames=50)
    tape.recorder._file.flush()  # what the kernel had is on the disk
    tape.index.close()


def test_after_another_boot_the_gap_is_a_power_cut(tmp_path, clip):
    interrupted(tmp_path / "camera", clip, boot="the boot before")
    index = Index(tmp_path / "camera")
    assert recover(tmp_path / "camera", index, BOOT) == POWER_CUT
    index.close()


def test_a_crash_between_the_rename_and_the_index_is_mended(tmp_path, clip):
    folder = tmp_path / "camera"
    interrupted(folder, clip)
    (left_open,) = (folder / "video").rglob("*.open.mp4")
    left_open.rename(left_open.with_name(left_open.name.replace(".open", "")))

    tape = Tape(folder)
    recover(folder, tape.index, BOOT)
    assert [segment["frames"] for segment in tape.segments()] == [20, 20, 10]
    assert tape.video_files() == [folder / segment["path"] for segment in tape.segments()]
    tape.index.close()


def test_a_row_without_a_file_and_a_file_without_a_row_are_both_removed(tmp_path, clip):
    folder = tmp_path / "camera"
    interrupted(folder, clip)
    (left_open,) = (folder / "video").rglob("*.open.mp4")
    left_open.rename(left_open.with_name("main-000009-235959000.open.mp4"))

    tape = Tape(folder)
    recover(folder, tape.index, BOOT)
    assert [segment["frames"] for segment in tape.segments()] == [20, 20]
    assert tape.video_files() == [folder / segment["path"] for segment in tape.segments()]
    tape.index.close()
