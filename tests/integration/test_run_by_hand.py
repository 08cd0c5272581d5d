"""`poleside run --camera … --broker …`: a camera and a broker are all a first try needs."""

import pytest

from agent.core.clock import SystemClock
from agent.simulators.broker import CENTER
from agent.simulators.center.center import Center, CenterConfig
from tests.box_process import CameraProcess, Process
from tests.brokers import Mosquitto
from tests.spine import ADDRESS, eventually, running


@pytest.mark.slow
async def test_a_camera_and_a_broker_are_enough(tmp_path, drawn_loops):
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    camera = CameraProcess(tmp_path / "camera", "gate", *drawn_loops)
    settings = tmp_path / "quiet.toml"  # a fixed port would be somebody else's in a test
    settings.write_text('[page]\nenabled = false\n[board]\nkind = "simulated"\n')
    login = f"{camera.username}:{camera.password}"
    box = Process(
        tmp_path,
        "box",
        *("agent.local.cli.main", "run", "--config", str(settings)),
        *("--camera", f"rtsp://{login}@127.0.0.1:{camera.rtsp_port}/main"),
        *("--broker", f"mqtt://{ADDRESS.box}:secret-{ADDRESS.box}@127.0.0.1:{broker.port}"),
        *("--data-dir", str(tmp_path / "data")),
    )
    center = Center(CenterConfig(tmp_path, broker.settings(CENTER)), SystemClock())

    async def is_recorded():
        views = await center.boxes()
        known = views[0].telemetry if views and views[0].online else None
        return known is not None and [c.recording for c in known.cameras] == [True]

    try:
        with camera, box:
            async with running(center):
                await eventually(is_recorded)
        assert camera.password not in box.said()
        assert list((tmp_path / "data" / "cameras" / "cam-1" / "video").rglob("*.mp4"))
    finally:
        await broker.stop()
