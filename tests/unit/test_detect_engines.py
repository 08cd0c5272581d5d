"""Every engine answers behind the one interface; one that can't run here says why."""

import sys
from pathlib import Path

import numpy as np
import pytest

from agent.core.errors import DetectorError
from agent.detect.backends.hailo import joined_scales
from agent.detect.backends.onnx import CUDA, OnnxBackend
from agent.detect.backends.opening import default_engine, open_backend, runnable
from agent.detect.choice import ModelChoice, self_test
from agent.detect.detector import open_detector
from agent.detect.engine_order import measured_order, named_first
from agent.detect.engine_record import STRIKES, WITHIN_S, EngineRecord
from agent.detect.manifest import load_manifest
from agent.detect.probe import probe
from agent.messages.engines import Engine
from tests.fake_clock import FakeClock
from tests.model_folder import TINY_HEIGHT_PX, TINY_WIDTH_PX, ModelMaker

HAILO = Path(__file__).parents[1] / "stand_ins" / "hailo"
BRIGHT = np.full((TINY_HEIGHT_PX, TINY_WIDTH_PX, 3), 250, np.uint8)


@pytest.fixture
def models(tmp_path):
    return ModelMaker(tmp_path)


@pytest.fixture
def onnx_models(models):
    """ONNX Runtime is an extra (`poleside[onnx]`), which the tests' own extra brings along."""
    return models


@pytest.mark.parametrize("inputs", [{}, {"kind": "FLOAT", "layout": "NCHW"}])
def test_onnx_runtime_runs_a_real_model(onnx_models, inputs):
    folder = onnx_models.tiny_onnx(**inputs)
    assert default_engine(load_manifest(folder)) is Engine.ONNX_CPU
    detector = open_detector(folder)
    self_test(detector)
    (seen,) = detector.detect(BRIGHT, TINY_WIDTH_PX, TINY_HEIGHT_PX)
    assert (seen.label, round(seen.score, 2)) == ("person", 0.98)
    assert detector.backend_name.startswith("onnxruntime")
    assert detector.self_timing() > 0


def test_the_probe_measures_onnx_runtime_at_each_thread_count(onnx_models):
    trials = list(probe([Engine.ONNX_CPU], [1, 2], onnx_models.tiny_onnx()))
    assert [trial.threads for trial in trials] == [1, 2]
    assert all(trial.ms > 0 and not trial.why for trial in trials)


def test_a_provider_that_is_not_there_is_an_error_not_the_processor(onnx_models):
    file = onnx_models.tiny_onnx() / "model.onnx"
    with pytest.raises(DetectorError, match="no such provider"):
        OnnxBackend(file, provider=CUDA)


def test_a_damaged_onnx_file_or_a_wrong_picture_is_the_detectors_error(onnx_models, tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    with pytest.raises(DetectorError) as caught:
        OnnxBackend(tmp_path / "bad.onnx")
    assert caught.value.code == "detector.backend"
    backend = OnnxBackend(onnx_models.tiny_onnx() / "model.onnx")
    with pytest.raises(DetectorError) as caught:
        backend.invoke(np.zeros((8, 8, 3), np.uint8))
    assert caught.value.code == "detector.invoke"


def test_hailo_is_driven_as_its_documentation_says(models, monkeypatch):
    monkeypatch.syspath_prepend(HAILO)
    monkeypatch.delitem(sys.modules, "hailo_platform", raising=False)
    folder = models.shipped_with_hef("chip")
    assert runnable(load_manifest(folder)) == [
        Engine.TFLITE_CPU,
        Engine.EDGE_TPU,
        Engine.HAILO,
    ]
    detector = open_detector(folder, engine=Engine.HAILO)
    self_test(detector)
    assert detector.backend_name == "hailort stand-in"
    del sys.modules["hailo_platform"]


def test_maps_of_all_scales_become_cells_the_finest_first():
    maps = [np.full((n, n, channels), n, np.float32) for n in (2, 8, 4) for channels in (80, 44)]
    scores, bins = joined_scales(maps)
    assert (scores.shape, bins.shape) == ((84, 80), (84, 44))
    assert [scores[row, 0] for row in (0, 63, 64, 79, 80)] == [8, 8, 4, 4, 2]


@pytest.mark.parametrize("engine", [Engine.HAILO, Engine.ONNX_CUDA])
def test_an_engine_that_is_not_here_says_why(models, engine):
    folder = models.shipped_with_hef("chip")
    with pytest.raises(DetectorError) as caught:
        open_backend(load_manifest(folder), folder, engine)
    assert caught.value.code == "detector.backend"


def test_the_best_measured_engine_is_taken_and_remembered(models, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HAILO))
    folder, told = models.shipped_with_hef("chip"), []
    manifest, engines = load_manifest(folder), [Engine.TFLITE_CPU, Engine.HAILO]
    order = (engines, manifest, folder, tmp_path / "memory", 1)
    best_first = [Engine.HAILO, Engine.TFLITE_CPU]  # a chip costs the processor next to nothing
    assert measured_order(*order, lambda: told.append(1)) == best_first
    assert len(told) == 2
    assert measured_order(*order, lambda: told.append(1)) == best_first
    assert len(told) == 2  # not measured again


def test_an_engine_that_fails_its_trial_is_left_out_and_tried_again_at_the_next_start(
    models, tmp_path
):
    folder, told = models.shipped_with_hef("chip"), []
    manifest, engines = load_manifest(folder), [Engine.TFLITE_CPU, Engine.HAILO]
    for start in (1, 2):
        order = (engines, manifest, folder, tmp_path / "memory", 1)
        assert measured_order(*order, lambda: told.append(1)) == [Engine.TFLITE_CPU]
        assert len(told) == 2 * start


def test_the_engine_the_settings_name_goes_first_and_the_processor_waits_behind():
    engines = [Engine.TFLITE_CPU, Engine.HAILO]
    assert named_first(Engine.HAILO, engines) == [Engine.HAILO, Engine.TFLITE_CPU]
    assert named_first(Engine.TFLITE_CPU, engines) == [Engine.TFLITE_CPU]


def test_an_engine_that_died_too_often_is_left_alone_for_a_while(tmp_path):
    clock, engines = FakeClock(), [Engine.HAILO, Engine.TFLITE_CPU]
    for _ in range(STRIKES):
        record = EngineRecord(tmp_path, clock)
        assert record.left("one", engines) == engines
        record.using("one", Engine.HAILO)  # and there it ends without a word
    record = EngineRecord(tmp_path, clock)
    assert record.left("one", engines) == [Engine.TFLITE_CPU]
    assert record.left("another", engines) == engines
    record.using("one", Engine.TFLITE_CPU)
    record.done()
    assert EngineRecord(tmp_path, clock).left("one", engines) == [Engine.TFLITE_CPU]
    clock.mono_s += WITHIN_S + 1
    assert EngineRecord(tmp_path, clock).left("one", engines) == engines


def test_a_model_opens_on_the_next_engine_when_the_better_one_says_it_cannot(models, tmp_path):
    folder = models.shipped_with_hef("chip")
    choice = ModelChoice(folder, models.keys_file, tmp_path / "memory")
    record = EngineRecord(tmp_path, FakeClock())
    order = [Engine.HAILO, Engine.TFLITE_CPU]
    detector = choice.open(1, lambda *_: order, record)
    assert (detector.manifest.name, detector.engine) == ("chip", Engine.TFLITE_CPU)
    assert record.left(detector.manifest.sha256, order) == [Engine.TFLITE_CPU]
