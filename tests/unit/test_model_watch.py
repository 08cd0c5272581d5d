"""An own model that is not in use is told, at the page and by `poleside doctor`."""

import pytest

from agent.app.model_watch import HELD_S, ModelWatch
from agent.detect.manifest import load_manifest
from agent.local.cli.diagnosis import Level, check_model
from agent.messages.capacity import DetectorCapacity, ShapeCapacity
from agent.messages.engines import Engine
from agent.settings.model import DetectorSettings, Settings
from tests.fake_clock import FakeClock
from tests.model_folder import ModelMaker


@pytest.fixture
def models(tmp_path):
    return ModelMaker(tmp_path)


def using(manifest, engine=Engine.TFLITE_CPU):
    now = FakeClock().utc_now()
    told = {"model": manifest.model, "sha256": manifest.sha256}
    shapes = tuple(
        ShapeCapacity(
            width_px=form.input.width_px,
            height_px=form.input.height_px,
            sha256=form.sha256,
            inference_ms=1.0,
        )
        for form in manifest.forms
    )
    return DetectorCapacity(measured_at=now, engine=engine, shapes=shapes, **told)


async def seen_for(seconds, wanted, capacity):
    watch = ModelWatch(clock := FakeClock())
    watch.look(wanted, capacity)
    await clock.advance(seconds)
    watch.look(wanted, capacity)
    return [fault.code for fault in watch.faults()]


async def test_another_model_in_use_than_the_one_that_was_named_is_a_fault(models, tmp_path):
    own, shipped = str(models.tiny_onnx("own")), load_manifest()
    assert await seen_for(HELD_S, own, using(shipped)) == ["detector.other_model"]
    assert await seen_for(HELD_S, str(tmp_path / "none"), using(shipped)) == [
        "detector.other_model"
    ]


async def test_a_model_that_differs_in_its_second_file_alone_is_another(models):
    own, alike = models.shipped_whole("own"), load_manifest()
    assert load_manifest(own).sha256 == alike.sha256
    assert await seen_for(HELD_S, str(own), using(alike)) == []
    wide_only = alike.only(alike.forms[:1])
    assert await seen_for(HELD_S, str(own), using(wide_only)) == ["detector.other_model"]


async def test_one_that_is_in_use_or_being_tried_or_told_of_otherwise_is_none(models):
    folder = models.tiny_onnx("own")
    own, shipped = str(folder), load_manifest()
    assert await seen_for(HELD_S, own, using(load_manifest(folder))) == []
    assert await seen_for(HELD_S - 1, own, using(shipped)) == []
    assert await seen_for(HELD_S, own, using(shipped, engine=None)) == []  # motion only
    assert await seen_for(HELD_S, own, None) == []
    assert await seen_for(HELD_S, "", using(shipped)) == []


def checked(folder, keys_file=""):
    detector = DetectorSettings(model=str(folder), keys_file=str(keys_file))
    (finding,) = check_model(Settings(detector=detector))
    return finding.level, finding.code


def test_doctor_says_why_a_model_is_refused(models):
    folder = models.tiny_onnx("own")
    assert checked(folder, models.keys_file) == (Level.OK, "")
    assert checked(folder) == (Level.FAIL, "detector.no_keys")
    (folder / "manifest.jws").write_bytes(b"forged")
    assert checked(folder, models.keys_file) == (Level.FAIL, "detector.model_signature")
