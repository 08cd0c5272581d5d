"""Each process loads what it needs and nothing else: the voice never has libav in its memory."""

import subprocess
import sys

import pytest

NATIVE = ("av", "numpy", "ai_edge_litert", "tflite_runtime", "zeep", "lxml", "cv2")


def loaded_by(module):
    """Return which of the heavy packages a fresh interpreter has after importing `module`."""
    code = f"import sys, {module}; print(*[n for n in {NATIVE!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["agent.app.core_process", "agent.local.cli.main"])
def test_core_and_command_line_load_no_native_library_at_start(module):
    assert loaded_by(module) == set()


def test_a_camera_worker_loads_video_but_no_detector_and_no_soap():
    assert loaded_by("agent.app.camera_process") == {"av", "numpy"}
