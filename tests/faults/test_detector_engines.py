"""An engine that hangs or crashes is restarted, then gives way; at last the box says it is blind.

The processes are the real ones; only the vendor's library is a stand-in (`tests/stand_ins`).
"""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from agent.contract.topics import BoxAddress
from agent.core.clock import SystemClock
from agent.detect.client import DetectClient
from agent.detect.letterbox import Letterboxed
from agent.messages.capacity import CAPACITY_FILE, DetectorCapacity
from agent.messages.engines import Engine
from tests.box_process import HOST, BoxProcess
from tests.brokers import Mosquitto
from tests.model_folder import ModelMaker
from tests.spine import make_center, running

STAND_INS = Path(__file__).parents[1] / "stand_ins"
PATIENCE_S = 90.0
PICTURE = Letterboxed(np.full((256, 416, 3), 114, np.uint8), 416, 234)

# The supervisor with the detect process alone, which may be silent for five seconds, not twenty.
SUPERVISED = textwrap.dedent("""
    import sys
    from dataclasses import replace
    from pathlib import Path
    from agent.app.process_table import process_table
    from agent.app.supervisor import Supervisor
    from agent.core.clock import SystemClock
    from agent.settings.load import read_file, validate

    table = read_file(Path(sys.argv[1]))
    settings = validate(table)
    def rows(told):
        return [replace(r, silent_s=5.0) for r in process_table(told) if r.name == "detect"]
    sys.exit(Supervisor(settings, table, SystemClock(), rows=rows).run())
""")


def with_stand_in(name, **environment):
    path = os.pathsep.join([str(STAND_INS / name), os.environ.get("PYTHONPATH", "")])
    return {"PYTHONPATH": path.rstrip(os.pathsep), **environment}


@pytest.mark.parametrize("mood", [pytest.param("hang", marks=pytest.mark.long), "crash"])
def test_an_engine_in_trouble_is_restarted_then_gives_way_to_the_processor(tmp_path, mood):
    models = ModelMaker(tmp_path)
    data = tmp_path / "data"
    file = tmp_path / "box.toml"
    file.write_text(
        f'data_dir = "{data}"\n[board]\nkind = "simulated"\n'
        f'[detector]\nengine = "hailo"\nmodel = "{models.shipped_with_hef("chip")}"\n'
        f'keys_file = "{models.keys_file}"\n'
        '[[cameras]]\ncamera_id = "gate"\nmain_url = "rtsp://127.0.0.1:9/none"\n'
    )
    environment = os.environ | with_stand_in("hailo", HAILO_MOOD=mood)
    with (tmp_path / "log").open("wb") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-c", SUPERVISED, str(file)], env=environment, stderr=log, stdout=log
        )
    client = DetectClient(data / "run" / "detect.sock", SystemClock())
    engines, deadline_s, number = [], time.monotonic() + PATIENCE_S, 0
    try:
        while engines[-1:] != [Engine.TFLITE_CPU] or client.counters.answered == 0:
            said = (tmp_path / "log").read_text()
            assert time.monotonic() < deadline_s, said
            assert supervisor.poll() is None, said
            capacity = _capacity(data)
            if capacity is not None and capacity.engine not in engines:
                engines.append(capacity.engine)
            number += 1
            client.detect(PICTURE, number)
            time.sleep(0.05)
        assert engines == [Engine.HAILO, Engine.TFLITE_CPU]
        assert _capacity(data).left_out == (Engine.HAILO,)
    finally:
        client.close()
        supervisor.terminate()
        supervisor.wait(30)
    said = (tmp_path / "log").read_text()
    assert said.count("process started") == 4  # three strikes, then the processor
    assert said.count("process hangs, killed") == (3 if mood == "hang" else 0)


async def test_when_no_engine_is_left_the_center_is_told_that_the_box_sees_motion_only(tmp_path):
    mosquitto = Mosquitto(tmp_path / "broker", [BoxAddress("site-1", "box-1")])
    await mosquitto.start()
    settings = {
        "broker": {
            "urls": [f"mqtt://{HOST}:{mosquitto.port}"],
            "username": "box-1",
            "password": "secret-box-1",
        },
        "center": {"telemetry_s": 1.0},
        "cameras": [{"camera_id": "gate", "main_url": f"rtsp://{HOST}:9/none"}],
    }
    center, clock = make_center(tmp_path / "center", mosquitto.settings("center")), SystemClock()
    box = BoxProcess(tmp_path, settings, **with_stand_in("crashing_litert"))
    async with running(center):
        with box:
            deadline_s = clock.monotonic_s() + PATIENCE_S
            while True:
                views = await center.boxes()
                told = views[0].telemetry if views else None
                if told is not None and told.detector_engine == "motion-only":
                    break
                assert clock.monotonic_s() < deadline_s, f"{told}\n{box.said()[-3000:]}"
                await clock.sleep_s(0.2)
            while "detector.motion_only" not in {fault.code for fault in told.faults}:
                assert clock.monotonic_s() < deadline_s, told
                told = (await center.boxes())[0].telemetry
                await clock.sleep_s(0.2)
            assert told.detector_ms is None
    await mosquitto.stop()


def _capacity(data):
    try:
        content = (data / "run" / CAPACITY_FILE).read_bytes()
        return msgspec.json.decode(content, type=DetectorCapacity)
    except (OSError, msgspec.MsgspecError):
        return None
