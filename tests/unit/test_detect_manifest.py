"""Only the model the manifest describes is ever run, and a wrong one says what to do."""

import shutil

import msgspec
import numpy as np
import pytest
from msgspec import structs

from agent.core.errors import DetectorError
from agent.detect.detector import open_detector
from agent.detect.manifest import SHIPPED_MODEL, load_manifest, verified_model_files
from tests.model_folder import ModelMaker


@pytest.fixture
def model_folder(tmp_path):
    shutil.copy(SHIPPED_MODEL / "manifest.json", tmp_path)
    for form in load_manifest().forms:
        shutil.copy(SHIPPED_MODEL / form.file, tmp_path)
    return tmp_path


def test_the_shipped_model_is_the_one_its_manifest_describes():
    manifest = load_manifest()
    assert [path.stat().st_size for path in verified_model_files(manifest)] == [3_907_872] * 2
    assert len(manifest.labels) == 80
    assert manifest.labels[0] == "person"
    assert manifest.licence == "Apache-2.0"


def test_the_shipped_model_comes_with_its_licences():
    for name in ("LICENSE", "NOTICE", "human-models-MIT.txt"):
        assert (SHIPPED_MODEL / name).read_text().strip()


def test_a_model_file_with_one_changed_byte_is_refused(model_folder):
    path = model_folder / load_manifest().file
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DetectorError) as caught:
        open_detector(model_folder)
    assert caught.value.code == "detector.model_hash"
    assert caught.value.hint


def test_a_missing_model_file_is_told_apart(model_folder):
    (model_folder / load_manifest().file).unlink()
    with pytest.raises(DetectorError) as caught:
        open_detector(model_folder)
    assert caught.value.code == "detector.model_missing"


TALL = msgspec.to_builtins(load_manifest().shapes[0])
HEF = {"engine": "hailo", "file": "model.hef", "sha256": "0" * 64}


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "short"},
        {"decoder": "other"},
        {"extra": 1},
        {"shapes": [TALL, TALL]},
        {"variants": [HEF]},  # 4:3 pictures would have nothing to go to on that chip
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(model_folder, change):
    path = model_folder / "manifest.json"
    path.write_bytes(msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | change))
    with pytest.raises(DetectorError) as caught:
        load_manifest(model_folder)
    assert caught.value.code == "detector.manifest"


@pytest.mark.parametrize(
    ("width_px", "height_px", "rows"),
    [
        *((640, 360, 256), (1920, 1080, 256), (704, 480, 256), (720, 480, 256)),
        *((640, 480, 320), (768, 576, 320), (704, 576, 320), (360, 640, 320), (720, 720, 320)),
    ],
)
def test_pictures_go_to_the_file_that_pads_them_least(width_px, height_px, rows):
    assert load_manifest().form_for(width_px, height_px).input.height_px == rows


def test_a_file_for_another_shape_is_loaded_with_its_first_picture_and_can_be_let_go_of():
    detector, loaded = open_detector(), []
    detector._opener = lambda form, opened=detector._opener: loaded.append(form) or opened(form)
    wide, tall = (np.full(shape, 114, np.uint8) for shape in detector.shapes)
    for picture in (wide, tall, tall):
        assert detector.detect(picture, picture.shape[1], picture.shape[0]) == []
    assert [form.file for form in loaded] == [load_manifest().shapes[0].file]
    detector.rest()
    detector.detect(tall, 416, 320)
    detector.detect(wide, 416, 256)
    assert len(loaded) == 3


def test_a_camera_with_its_own_score_for_a_class_has_it_for_new_ones_too():
    thresholds = load_manifest().form_for(640, 480).thresholds
    assert thresholds.of_new("person") > thresholds.of("person")
    assert thresholds.with_labels({"person": 0.3}).of_new("person") == 0.3
    assert thresholds.of_new("car") == thresholds.of("car")


def test_a_class_without_its_own_threshold_takes_the_default():
    thresholds = load_manifest().thresholds
    assert thresholds.of("zebra") == thresholds.default
    assert thresholds.of("car") < thresholds.default


def test_what_the_rules_were_measured_with_goes_by_the_files_and_not_by_a_name(tmp_path):
    models, shipped = ModelMaker(tmp_path), load_manifest()
    namesake = load_manifest(models.tiny_onnx(shipped.name))
    assert (namesake.model, namesake.is_measured) == (shipped.model, False)
    assert load_manifest(models.shipped_whole("ours-under-another-name")).is_measured
    assert shipped.is_measured
    assert shipped.only(shipped.forms[1:]).is_measured


@pytest.mark.parametrize("left", [0, 1])
def test_a_model_may_go_on_with_the_file_that_is_whole(model_folder, left):
    forms = load_manifest(model_folder).forms
    (model_folder / forms[1 - left].file).write_bytes(b"damaged")
    with pytest.raises(DetectorError):
        open_detector(model_folder).backend(forms[1 - left].input.shape)
    detector = open_detector(model_folder, whole=False)
    assert detector.shapes == (forms[left].input.shape,)
    assert detector.manifest.forms == (structs.replace(forms[left], shapes=()),)


def test_a_model_of_which_no_file_is_whole_is_refused(model_folder):
    for form in load_manifest(model_folder).forms:
        (model_folder / form.file).unlink()
    with pytest.raises(DetectorError) as caught:
        open_detector(model_folder, whole=False)
    assert caught.value.code == "detector.model_missing"
