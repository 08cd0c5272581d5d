"""Only a model somebody vouches for runs; one that proves bad is rolled back, one tried answers
nobody."""

import msgspec
import numpy as np
import pytest
from joserfc.jwk import OKPKey

from agent.contract.events import Region
from agent.core.errors import DetectorError
from agent.detect.choice import ModelChoice, self_test
from agent.detect.detector import Detector, open_detector
from agent.detect.manifest import SHIPPED_MODEL, load_manifest
from agent.detect.model_signature import SHIPPED_SHA256, check_signature
from agent.detect.shadow import Shadowed, in_common
from agent.messages.vision import Detection
from tests.model_folder import ModelMaker


@pytest.fixture
def models(tmp_path):
    return ModelMaker(tmp_path)


@pytest.fixture
def keys_file(models):
    return models.keys_file


@pytest.fixture
def model(models):
    """Return a folder with another, signed model."""
    return models.shipped


def test_the_shipped_model_is_pinned_and_needs_no_key():
    check_signature(SHIPPED_MODEL, load_manifest(), None)
    assert tuple(form.sha256 for form in load_manifest().forms) == SHIPPED_SHA256


def test_a_signed_model_is_taken_and_any_other_refused(model, keys_file, tmp_path):
    folder = model("own")
    check_signature(folder, load_manifest(folder), keys_file)
    with pytest.raises(DetectorError) as caught:
        check_signature(folder, load_manifest(folder), None)
    assert caught.value.code == "detector.no_keys"
    (folder / "manifest.json").write_bytes((folder / "manifest.json").read_bytes() + b" ")
    with pytest.raises(DetectorError) as caught:
        check_signature(folder, load_manifest(folder), keys_file)
    assert caught.value.code == "detector.model_signature"
    stranger = OKPKey.generate_key("Ed25519", {"kid": "models"})
    keys_file.write_bytes(msgspec.json.encode({"keys": [stranger.as_dict(private=False)]}))
    with pytest.raises(DetectorError):
        check_signature(model("other"), load_manifest(tmp_path / "other"), keys_file)


def test_the_wanted_model_runs_and_one_that_is_refused_is_passed_over(model, keys_file, tmp_path):
    choice = ModelChoice(model("own"), keys_file, tmp_path / "memory")
    assert choice.open().manifest.name == "own"
    unsigned = model("unsigned")
    (unsigned / "manifest.jws").unlink()
    assert ModelChoice(unsigned, keys_file, tmp_path / "memory").open().manifest.name == "own"
    assert ModelChoice(unsigned, keys_file, tmp_path / "new").folder() == SHIPPED_MODEL


def test_a_model_that_fails_its_self_test_is_rolled_back_for_all(model, keys_file, tmp_path):
    good = ModelChoice(model("good"), keys_file, tmp_path / "memory")
    good.open()
    content = (SHIPPED_MODEL / load_manifest().file).read_bytes()
    bad = model("bad", sha256="0" * 64)  # the file is not what the manifest says
    choice = ModelChoice(bad, keys_file, tmp_path / "memory")
    assert choice.folder() == bad  # nobody has tried it yet
    assert choice.open().manifest.name == "good"
    assert choice.folder() == tmp_path / "good"  # a worker comes to the same choice now
    assert len(content) == (bad / load_manifest().file).stat().st_size


def test_a_model_of_which_one_file_is_bad_is_rolled_back_as_a_whole(models, tmp_path):
    folder = models.shipped_whole("two-files")
    other = folder / load_manifest(folder).forms[1].file
    good, memory = other.read_bytes(), tmp_path / "memory"
    other.write_bytes(good[:-1])
    choice = ModelChoice(folder, models.keys_file, memory)
    assert choice.open().manifest.name == load_manifest().name
    assert choice.folder() == SHIPPED_MODEL  # for workers as well
    other.write_bytes(good)
    detector = ModelChoice(folder, models.keys_file, tmp_path / "new").open()
    assert (detector.manifest.name, len(detector.shapes)) == ("two-files", 2)


class Fixed:
    """An engine that always sees the same."""

    name = "fixed"

    def __init__(self, score):
        cells = 32 * 52 + 16 * 26 + 8 * 13
        self._outputs = [np.full((cells, 80), score, np.float32), np.zeros((cells, 44), np.float32)]

    def invoke(self, image):
        return self._outputs


@pytest.mark.parametrize("score", [0.9, 1.7])
def test_a_model_that_sees_things_where_nothing_is_fails(score):
    with pytest.raises(DetectorError) as caught:
        self_test(Detector(load_manifest(), Fixed(score)))
    assert caught.value.code == "detector.self_test"


def test_the_shipped_model_passes():
    self_test(open_detector())


def test_the_model_in_the_shadow_answers_nobody_and_agreement_is_counted():
    first = open_detector()
    asked = Shadowed(first, Detector(load_manifest(), Fixed(0.9)), share=0.5)
    image = np.full(first.shape, 114, np.uint8)
    for _ in range(4):
        assert asked.detect(image, 416, 256) == first.detect(image, 416, 256)
    count = asked.agreement
    assert (count.pictures, count.both, count.first_only) == (2, 0, 0)
    assert count.second_only > 0


def test_a_shadow_without_a_file_for_a_shape_is_not_asked_about_it(model):
    asked = Shadowed(open_detector(), open_detector(model("wide-only")), share=1.0)
    for rows in (256, 320):
        asked.detect(np.full((rows, 416, 3), 114, np.uint8), 416, rows)
    assert (asked.agreement.pictures, asked.agreement.unfit) == (1, 1)


def test_the_same_thing_is_of_one_class_and_in_one_place():
    here, there = Region(0.1, 0.1, 0.2, 0.4), Region(0.6, 0.1, 0.2, 0.4)
    some = [Detection("person", 0.9, here), Detection("car", 0.8, there)]
    assert in_common(some, some) == 2
    assert in_common(some, [Detection("person", 0.5, there)]) == 0
    assert in_common(some, []) == 0
