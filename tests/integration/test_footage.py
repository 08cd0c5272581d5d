"""Footage is prepared once, says where it comes from, and is what a camera can send."""

import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from agent.core.errors import PolesideError
from agent.simulators.camera.media import load_media
from agent.simulators.footage import debian, drawn, prepare
from agent.simulators.footage.loops import SOURCE_SIZE_PX, encode_loops, loop_plans
from tests.footage_maker import make_clip


@pytest.fixture
def recording(tmp_path, monkeypatch):
    recording = tmp_path / "recording" / "vtest.avi"
    recording.parent.mkdir()
    make_clip(recording, size_px=SOURCE_SIZE_PX, seconds=2)
    monkeypatch.setenv(debian.FOOTAGE_VARIABLE, str(recording))
    return recording


def test_footage_is_prepared_once_and_says_where_it_comes_from(tmp_path, recording):
    folder, said = tmp_path / "footage", []
    footage = prepare(folder, said.append)
    assert said
    assert footage.origin == "debian"
    assert "opencv-doc" in footage.title_en
    assert "opencv-doc" in footage.title_ko
    assert list(footage.ptz.main) == ["pan-2", "pan-1", "pan0", "pan1", "pan2"]
    assert list(footage.ptz.sub) == list(footage.ptz.main)
    for camera in (footage.fixed, footage.ptz):
        assert all(Path(file).is_file() for file in camera.files())
    assert not list(folder.glob(".preparing-*"))

    recording.unlink()
    said.clear()
    assert prepare(folder, said.append) == footage
    assert not said, "nothing is done twice"


def test_footage_that_lost_a_file_is_made_anew(tmp_path, recording):
    footage = prepare(tmp_path / "footage", lambda _: None)
    lost = Path(footage.ptz.sub["pan1"])
    lost.unlink()
    assert prepare(tmp_path / "footage", lambda _: None) == footage
    assert lost.is_file()


@pytest.fixture
def with_drawn(tmp_path, demo_cache):
    """Return a folder where the drawn scene is prepared: drawing it takes half a minute."""
    folder = tmp_path / "footage"
    shutil.copytree(demo_cache / "poleside" / "footage" / "drawn", folder / "drawn")
    return folder


def test_a_scene_drawn_without_network_gives_way_to_the_real_recording(with_drawn, recording):
    assert prepare(with_drawn, lambda _: None, "drawn").origin == "drawn"
    assert prepare(with_drawn, lambda _: None).origin == "debian"


def test_out_of_reach_the_drawn_scene_is_shown_and_why_is_said(with_drawn, recording):
    recording.unlink()
    said = []
    assert prepare(with_drawn, said.append).origin == "drawn"
    assert any("no vtest.avi is there" in line for line in said)


def test_the_drawn_scene_moves_and_says_what_it_is():
    pictures = list(islice(drawn.draw_pictures(), 80))
    assert {picture.shape for picture in pictures} == {(576, 768, 3)}
    assert not np.array_equal(pictures[0], pictures[-1])
    assert "Drawn" in drawn.TITLE_EN


def test_views_can_take_turns_at_any_key_picture(tmp_path):
    plans = [plan for plan in loop_plans(120) if plan.view in ("pan-1", "pan2")]
    noise = np.random.default_rng(1).integers(0, 255, (30, 576, 768, 3), dtype=np.uint8)
    encode_loops(iter(noise), plans, tmp_path, lambda _: None)
    media = {plan.file_name: load_media(tmp_path / plan.file_name) for plan in plans}
    for stream, fps, size_px in (("main", 10, (640, 480)), ("sub", 5, (480, 360))):
        one, other = media[f"pan-1-{stream}.mp4"], media[f"pan2-{stream}.mp4"]
        assert one.parameter_sets == other.parameter_sets
        assert one.fps == other.fps == fps
        assert one.key_indexes == other.key_indexes == (0, fps, 2 * fps)
        assert (one.width_px, one.height_px) == size_px


def test_a_recording_named_but_not_there_is_said_plainly(tmp_path):
    environment = {debian.FOOTAGE_VARIABLE: str(tmp_path / "nothing.avi")}
    with pytest.raises(PolesideError, match=r"nothing\.avi") as caught:
        debian.find_recording(tmp_path, environment, lambda _: None)
    assert caught.value.hint
