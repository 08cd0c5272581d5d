"""Only the model the manifest describes is ever run, and a wrong one says what to do."""

import shutil

import msgspec
import pytest

from agent.core.errors import DetectorError
from agent.detect.detector import open_detector
from agent.detect.manifest import SHIPPED_MODEL, load_manifest, verified_model_file


@pytest.fixture
def model_folder(tmp_path):
    manifest = load_manifest()
    shutil.copy(SHIPPED_MODEL / "manifest.json", tmp_path)
    shutil.copy(SHIPPED_MODEL / manifest.file, tmp_path)
    return tmp_path


def test_the_shipped_model_is_the_one_its_manifest_describes():
    manifest = load_manifest()
    assert verified_model_file(manifest).stat().st_size == 3_907_872
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


@pytest.mark.parametrize("change", [{"sha256": "short"}, {"decoder": "other"}, {"extra": 1}])
def test_a_manifest_that_makes_no_sense_is_refused(model_folder, change):
    path = model_folder / "manifest.json"
    path.write_bytes(msgspec.json.encode(msgspec.json.decode(path.read_bytes()) | change))
    with pytest.raises(DetectorError) as caught:
        load_manifest(model_folder)
    assert caught.value.code == "detector.manifest"


def test_a_class_without_its_own_threshold_takes_the_default():
    thresholds = load_manifest().thresholds
    assert thresholds.of("zebra") == thresholds.default
    assert thresholds.of("car") < thresholds.default
