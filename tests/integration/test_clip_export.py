"""A clip holds every frame of its range, starts where it can be shown, and keeps holes as time."""

import hashlib
import json
import re
import subprocess
import sys
from datetime import timedelta

import av
import numpy as np
import pytest

from agent.buffer import reading
from agent.clips.export import ClipSource, export_clip
from agent.core.errors import StorageError
from tests.fake_clock import FakeClock
from tests.footage_maker import make_clip
from tests.recording import Tape, frames_in, packets_of

FPS = 10  # a key frame a second, segments of two


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    return {
        "gate": make_clip(folder / "gate.mp4", fps=FPS, seconds=9, size_px=(160, 120)),
        "wide": make_clip(folder / "wide.mp4", fps=FPS, seconds=4, size_px=(320, 180)),
        "hevc": make_clip(folder / "hevc.mp4", codec="libx265", fps=FPS, seconds=4),
    }


@pytest.fixture
def tape(tmp_path):
    tape = Tape(tmp_path / "cameras" / "gate")
    yield tape
    tape.index.close()


def export(tape, since, until, out):
    found = reading.segments(tape.folder, since - timedelta(seconds=30), until)
    return export_clip([ClipSource(s.path, s.start_at) for s in found], since, until, out)


def times_of(path):
    with av.open(str(path)) as container:
        return [float(packet.dts * packet.time_base) for packet in packets_of(container)]


@pytest.mark.parametrize(
    ("since_s", "until_s", "starts_s", "frames"),
    [
        pytest.param(0.0, 9.0, 0.0, 90, id="all of it"),
        pytest.param(1.0, 7.0, 1.0, 60, id="from key frame to key frame"),
        pytest.param(3.45, 6.05, 3.0, 31, id="from within a GOP over segments"),
        pytest.param(4.15, 4.55, 4.0, 6, id="inside one GOP"),
        pytest.param(8.5, 60.0, 8.0, 10, id="beyond the end"),
        pytest.param(-5.0, 0.5, 0.0, 5, id="from before the start"),
    ],
)
def test_the_frames_are_exact_and_start_at_the_key_frame_they_need(
    tape, footage, tmp_path, since_s, until_s, starts_s, frames
):
    start = tape.clock.utc_now()
    tape.record(footage["gate"])
    out = tmp_path / "clip.mp4"

    clip = export(tape, start + timedelta(seconds=since_s), start + timedelta(seconds=until_s), out)

    assert clip.start_at == start + timedelta(seconds=starts_s)
    assert clip.frames == frames == frames_in(out)
    assert (clip.end_at - clip.start_at).total_seconds() == pytest.approx((frames - 1) / FPS)
    assert times_of(out) == pytest.approx([number / FPS for number in range(frames)])
    assert clip.size_bytes == out.stat().st_size
    assert clip.sha256 == hashlib.sha256(out.read_bytes()).hexdigest()
    with av.open(str(out)) as container:
        assert next(packets_of(container)).is_keyframe


def test_a_hole_in_the_middle_stays_as_long_as_it_was(tape, footage, tmp_path):
    start = tape.clock.utc_now()
    tape.record(footage["gate"], frames=30)
    tape.clock.pass_s(4.0)
    tape.record(footage["gate"], frames=30)

    clip = export(tape, start, start + timedelta(seconds=20), tmp_path / "clip.mp4")

    assert clip.frames == frames_in(tmp_path / "clip.mp4") == 60
    assert (clip.end_at - clip.start_at).total_seconds() == pytest.approx(9.9)
    times = times_of(tmp_path / "clip.mp4")
    assert times[30] - times[29] == pytest.approx(4.1)


def test_a_range_that_begins_in_a_hole_starts_with_what_comes_after_it(tape, footage, tmp_path):
    start = tape.clock.utc_now()
    tape.record(footage["gate"], frames=30)
    tape.clock.pass_s(4.0)
    tape.record(footage["gate"], frames=30)
    clip = export(
        tape,
        start + timedelta(seconds=5),
        start + timedelta(seconds=8),
        tmp_path / "clip.mp4",
    )
    assert clip.start_at == start + timedelta(seconds=7)
    assert clip.frames == 10


def test_the_segment_being_written_is_in_it(tape, footage, tmp_path):
    start = tape.clock.utc_now()
    with av.open(str(footage["gate"])) as container:
        tape.recorder.run_started(container.streams.video[0], "h264", (160, 120))
        for number, packet in enumerate(packets_of(container)):
            if number == 58:
                break
            tape.recorder.packet(packet, tape.clock.monotonic_s())
        clip = export(tape, start, start + timedelta(seconds=60), tmp_path / "clip.mp4")
        tape.recorder.run_ended("lost")
    assert 58 - FPS / 2 <= clip.frames <= 58
    assert frames_in(tmp_path / "clip.mp4") == clip.frames


def test_hevc_is_copied_as_it_is(tape, footage, tmp_path):
    start = tape.clock.utc_now()
    tape.record(footage["hevc"])
    clip = export(tape, start, start + timedelta(seconds=60), tmp_path / "clip.mp4")
    assert (clip.codec, clip.frames) == ("hevc", 40)
    assert frames_in(tmp_path / "clip.mp4") == 40


def with_sound(path):
    """Write two seconds of pictures and sound, a fragment a second, as segments are."""
    grey, hiss = np.full((180, 160), 99, np.uint8), np.random.default_rng(1).random((1, 1600)) / 9
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    with av.open(str(path), "w", options=options) as container:
        seen = container.add_stream("libx264", rate=10, options={"g": "10", "bf": "0"})
        heard = container.add_stream("aac", rate=16_000, layout="mono")
        seen.width, seen.height, seen.pix_fmt = 160, 120, "yuv420p"
        for number in range(20):
            picture = av.VideoFrame.from_ndarray(grey, format="yuv420p")
            tone = av.AudioFrame.from_ndarray(hiss.astype(np.float32), format="fltp", layout="mono")
            picture.pts, tone.pts, tone.rate = number, number * 1600, 16_000
            container.mux(seen.encode(picture))
            container.mux(heard.encode(tone))
        container.mux(seen.encode(None))
        container.mux(heard.encode(None))
    return path


GARBLED_SOUND = {
    "it begins in no year there is": (b"tfdt", 1, 8, 8, 2**62),
    "its last packet has no end": (b"trun", -1, 16, 4, 2**32 - 1),
    "it is of no codec": (b"mdhd", 1, 28, 4, 2**32 - 1),
}


@pytest.mark.parametrize("how", GARBLED_SOUND)
@pytest.mark.parametrize("victim", [0, 1])
def test_garbled_sound_of_one_segment_costs_no_picture_of_a_clip(tmp_path, how, victim):
    box, number, behind, size, value = GARBLED_SOUND[how]
    well, began = with_sound(tmp_path / "well.mp4"), FakeClock().utc_now()
    content = bytearray(well.read_bytes())
    at = [place.start() for place in re.finditer(box, content)][number] + behind
    content[at : at + size] = value.to_bytes(size)
    garbled = tmp_path / "garbled.mp4"
    garbled.write_bytes(content)
    times = [began + timedelta(seconds=2 * n) for n in range(4)]
    sources = [
        ClipSource(garbled if n == victim else well, times[n], times[n + 1], 1) for n in range(3)
    ]
    clip = export_clip(sources, times[0], times[3], tmp_path / "clip.mp4")
    assert (clip.frames, clip.holes) == (60, ())


def refused(tape, since, until, out):
    with pytest.raises(StorageError) as caught:
        export(tape, since, until, out)
    assert not out.exists()
    assert caught.value.hint
    return caught.value.code


def test_what_can_not_be_given_is_refused_with_a_code_and_leaves_no_file(tape, footage, tmp_path):
    start, out = tape.clock.utc_now(), tmp_path / "clip.mp4"
    later = start + timedelta(seconds=60)
    tape.record(footage["gate"], frames=30)
    hour = timedelta(hours=1)
    assert refused(tape, start - hour, later - hour, out) == "clip.nothing_recorded"
    assert refused(tape, start, later, tmp_path / "no-folder" / "clip.mp4") == "clip.not_written"

    tape.record(footage["wide"])
    assert refused(tape, start, later, out) == "clip.camera_changed"

    for path in tape.video_files():
        path.write_bytes(b"nothing a player knows")
    assert refused(tape, start, later, out) == "clip.unreadable"


def test_an_earlier_clip_is_kept_when_nothing_was_recorded(tape, tmp_path):
    out = tmp_path / "clip.mp4"
    out.write_bytes(b"precious")
    now = tape.clock.utc_now()
    with pytest.raises(StorageError, match="Nothing was recorded"):
        export(tape, now, now + timedelta(seconds=1), out)
    assert out.read_bytes() == b"precious"


def poleside(*words):
    return subprocess.run(
        [sys.executable, "-m", "agent.local.cli.main", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_line_answers_in_json_with_facts_or_with_a_code(tape, footage, tmp_path):
    start = tape.clock.utc_now()
    tape.record(footage["gate"])
    asked = ["clip", "export", "--camera", "gate", "--json", "--data-dir", tmp_path]
    span = ["--from", (start + timedelta(seconds=2)).isoformat(),
            "--to", (start + timedelta(seconds=5)).isoformat()]  # fmt: skip

    done = poleside(*asked, *span, "--out", tmp_path / "clip.mp4")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["frames"] == frames_in(tmp_path / "clip.mp4") == 30
    assert facts["sha256"] == hashlib.sha256((tmp_path / "clip.mp4").read_bytes()).hexdigest()

    none = poleside(*asked, "--last", "5", "--out", tmp_path / "none.mp4")
    assert (none.returncode, json.loads(none.stdout)["code"]) == (1, "clip.nothing_recorded")

    asked[3] = "roof"
    other = poleside(*asked, *span, "--out", tmp_path / "other.mp4")
    assert (other.returncode, json.loads(other.stdout)["code"]) == (1, "storage.no_database")
