"""Recorded video can be watched while it is read, and previewed in a browser whatever its codec."""

import subprocess
import sys
from datetime import timedelta

import av
import pytest

from agent.clips.export import ClipSource
from agent.clips.preview import make_preview
from agent.clips.stills import Still
from agent.clips.timelapse import make_film
from agent.core.errors import StorageError
from tests.fake_clock import FakeClock
from tests.footage_maker import make_clip
from tests.recording import Tape

FPS = 10


@pytest.fixture(scope="module", params=["libx264", "libx265"])
def recorded(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("box")
    clip = make_clip(
        folder / "clip.mp4", codec=request.param, fps=FPS, seconds=6, size_px=(160, 120)
    )
    tape = Tape(folder / "cameras" / "gate")
    began = tape.clock.utc_now()
    tape.record(clip)
    tape.index.close()
    return folder, began


def stream(folder, since, until) -> bytes:
    command = [sys.executable, "-m", "agent.local.cli.main", "clip", "stream", "--camera", "gate"]
    span = ["--from", since.isoformat(), "--to", until.isoformat(), "--data-dir", str(folder)]
    return subprocess.run([*command, *span], check=True, stdout=subprocess.PIPE).stdout


def test_a_stream_plays_from_a_pipe_and_is_exact_to_a_gop(recorded, tmp_path):
    folder, began = recorded
    path = tmp_path / "seen.mp4"
    path.write_bytes(stream(folder, began, began + timedelta(seconds=4)))
    with av.open(str(path)) as seen:
        assert sum(1 for _ in seen.decode(video=0)) == 4 * FPS


def test_a_stream_of_nothing_says_so(recorded):
    folder, began = recorded
    with pytest.raises(subprocess.CalledProcessError) as failed:
        stream(folder, began - timedelta(hours=2), began - timedelta(hours=1))
    assert failed.value.returncode == 1


def test_a_preview_is_webm_whatever_the_camera_sends(recorded, tmp_path):
    folder, began = recorded
    files = sorted((folder / "cameras" / "gate" / "video").rglob("*.mp4"))
    sources = [ClipSource(file, began + timedelta(seconds=2 * n)) for n, file in enumerate(files)]
    made = make_preview(sources, began, began + timedelta(seconds=6), tmp_path / "p.webm")
    with av.open(str(made.path)) as film:
        assert film.streams.video[0].codec_context.name == "vp8"
        assert sum(1 for _ in film.decode(video=0)) == made.frames >= 3
    assert made.start_at == began


def test_a_film_that_can_not_be_written_says_so_and_an_earlier_one_outlives_nothing(tmp_path):
    began = FakeClock().utc_now()
    clip = make_clip(tmp_path / "clip.mp4", seconds=2, size_px=(160, 120))
    source, still = [ClipSource(clip, began)], [Still(clip, began)]
    nowhere, until = tmp_path / "no" / "film.webm", began + timedelta(seconds=2)
    for make in (
        lambda: make_preview(source, began, until, nowhere),
        lambda: make_film(still, nowhere),
    ):
        with pytest.raises(StorageError) as failed:
            make()
        assert failed.value.code == "clip.not_written"
    earlier = make_preview(source, began, until, tmp_path / "film.webm").path
    with pytest.raises(StorageError):
        make_preview([], began, until, earlier)
    assert earlier.exists()
