"""Both inference engines run the shipped model and see the same: each in an environment of its own.

The second one (tflite-runtime, numpy below 2) is built for the test: `-m long`, as `make engines`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from agent.detect.detector import open_detector
from agent.detect.letterbox import FrameScaler
from agent.simulators import drawn_scene

TREE = Path(__file__).parents[2]
LOOK = """
import json, sys
import numpy as np
from agent.detect.detector import open_detector
detector = open_detector()
found = detector.detect(np.load(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
print(json.dumps([detector.backend_name, np.__version__, [
    [one.label, one.score, one.region.x, one.region.y, one.region.width, one.region.height]
    for one in found if one.score >= 0.4]]))
"""

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime has no wheel for it"),
]


@pytest.fixture(scope="module")
def other_python(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tflite") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    wanted = ["tflite-runtime==2.14.0", "numpy>=1.26,<2", "msgspec", "structlog"]
    made = subprocess.run(
        [python, "-m", "pip", "install", "-q", *wanted], check=False, capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"no second environment: {made.stderr[-300:]}")
    return python


@pytest.mark.parametrize("height_px", [360, 480])
def test_both_engines_see_the_same_people(other_python, tmp_path, height_px):
    at_s = drawn_scene.WALK_BEGINS_S + 5
    [*_, picture] = drawn_scene.frames(640, height_px, 1, at_s)
    detector = open_detector()
    made = FrameScaler(*detector.manifest.inputs).to_detector_input(
        av.VideoFrame.from_ndarray(picture, format="rgb24")
    )
    np.save(tmp_path / "image.npy", made.image)
    own = [
        one
        for one in detector.detect(made.image, made.content_width_px, made.content_height_px)
        if one.score >= 0.4
    ]
    content = [str(made.content_width_px), str(made.content_height_px)]
    told = subprocess.run(
        [other_python, "-c", LOOK, tmp_path / "image.npy", *content],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(TREE)},
    )
    engine, numpy_version, found = json.loads(told.stdout.splitlines()[-1])
    assert engine.startswith("tflite-runtime")
    assert numpy_version.startswith("1.")
    assert [one.label for one in own] == [one[0] for one in found] == ["person"]
    region = own[0].region
    assert found[0][2:] == pytest.approx(
        [region.x, region.y, region.width, region.height], abs=0.03
    )
