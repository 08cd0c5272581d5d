"""Another camera in the same place keeps id and zones; the box says: check the calibration."""

import asyncio
import uuid
from contextlib import asynccontextmanager

from agent.app.birth import birth_document
from agent.cameras.memory import load
from agent.core.clock import SystemClock
from agent.settings.model import Settings
from tests.onvif_box import Deskwork, make_desk, settings_of
from tests.simulated_onvif import eventually, running_camera

_CLOCK = SystemClock()
_NEWER = {"serial": "SIM-0002", "mac": "02:00:5e:00:00:02", "name": "Newer"}


@asynccontextmanager
async def _desk(camera, folder, port):
    desk = make_desk(folder, _CLOCK, port, camera)
    work = asyncio.create_task(Deskwork(desk, _CLOCK).run())
    try:
        await eventually(lambda: desk.facts("gate").device or desk.facts("gate").code)
        yield desk
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


def _said(camera, desk):
    """Return what the box's birth document says of its one camera."""
    settings = Settings(cameras=(camera,))
    told = {"boot": 1, "epoch": "e", "commands": (), "settings_hash": "", "key": None}
    (info,) = birth_document(settings, desk, None, **told).cameras
    return info


async def test_after_a_swap_a_technician_lets_it_in_and_then_confirms_the_calibration(
    tmp_path, unused_tcp_port_factory
):
    port, search = unused_tcp_port_factory(), unused_tcp_port_factory()
    async with running_camera(port=port) as device:
        camera = settings_of(device)
        async with _desk(camera, tmp_path, search) as desk:
            first = _said(camera, desk)
            assert (first.model, first.calibration) == ("Simulated camera", "")
    async with running_camera(port=port, **_NEWER):
        async with _desk(camera, tmp_path, search) as desk:
            assert desk.facts("gate").code == "camera.stranger"
            desk.accept("gate")
            await eventually(lambda: desk.facts("gate").device)
            swapped = _said(camera, desk)
            known = desk.known()
            assert (swapped.camera_id, swapped.model) == ("gate", "Newer")
            assert swapped.calibration == "check"
        async with _desk(camera, tmp_path, search) as desk:  # the box started anew: still in doubt
            await eventually(lambda: _said(camera, desk).calibration == "check")
            desk.accept("gate")
            await eventually(lambda: _said(camera, desk).calibration == "")
            assert desk.known() != known  # so the center is told


async def test_the_same_camera_with_a_new_endpoint_id_is_no_swap(
    tmp_path, unused_tcp_port_factory, monkeypatch
):
    port, search = unused_tcp_port_factory(), unused_tcp_port_factory()
    monkeypatch.setattr("agent.cameras.recognition.mac_of", lambda _: "02005e000001")
    for start in range(3):
        async with running_camera(port=port) as device:
            device.epr = f"urn:uuid:{uuid.uuid4()}"  # a new id at each start, as of some makers
            camera = settings_of(device)
            async with _desk(camera, tmp_path, search) as desk:
                assert _said(camera, desk).calibration == "", start
                assert load(tmp_path, "gate").identity.renames_itself is (start > 0)
