"""A camera worker asks the detector without ever loading an inference engine."""

import subprocess
import sys


def test_the_workers_half_loads_no_inference_engine():
    script = (
        "import sys; import agent.detect.client, agent.detect.letterbox, agent.detect.manifest,"
        " agent.detect.motion, agent.detect.tracker, agent.rules.rule;"
        " sys.exit(any(n.startswith(('ai_edge_litert', 'tflite_runtime')) for n in sys.modules))"
    )
    worker = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert worker.returncode == 0
