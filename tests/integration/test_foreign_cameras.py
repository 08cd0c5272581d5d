"""Our simulator stands before npm's `onvif`, and our client before PyPI's `ipycam`."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from lxml import etree

from agent.cameras import care, media
from agent.cameras.gate import CameraGate, MoveResult
from agent.cameras.line import Service
from agent.cameras.port import CameraFailure, CameraWrongPassword, Login
from agent.cameras.settings_picture import settings_picture
from agent.cameras.zeep_backend import ZeepCamera
from agent.core.clock import SystemClock
from agent.simulators.camera import onvif_answers
from agent.simulators.camera.onvif_events import DIGITAL_INPUT
from tests import foreign
from tests.simulated_onvif import running_camera

_HERE = Path(__file__).parent
_USER, _PASSWORD = "admin", "a password"


@pytest.mark.parametrize("media2", [False, True], ids=["media 1", "media 2"])
async def test_npm_onvif_drives_the_simulated_camera_end_to_end(request, media2):
    modules = await asyncio.to_thread(foreign.npm_onvif, request)
    async with running_camera(media2=media2, password=_PASSWORD, name="Pole 7") as camera:
        port = camera.url.partition("/onvif")[0].rpartition(":")[2]
        client = await asyncio.create_subprocess_exec(
            "node",
            str(_HERE / "npm_onvif_client.js"),
            *(port, _USER, _PASSWORD),
            env={**os.environ, "NODE_PATH": str(modules)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.TaskGroup() as tasks:
            pressing = tasks.create_task(_press_the_bell(camera))
            try:
                out, err = await client.communicate()
            finally:
                pressing.cancel()

    assert client.returncode == 0, err.decode()
    told = json.loads(out)
    assert told["info"]["serialNumber"] == "SIM-0001"
    assert sorted(told["profiles"]) == ["main", "sub"]
    assert told["media2"] is media2
    assert told["stream"].startswith("rtsp://")
    assert told["pan"] > 0
    assert told["moving"]["panTilt"] == "IDLE"
    assert told["mac"] == "02:00:5e:00:00:01"
    assert told["presets"] == 2
    assert told["texts"] == [["Camera 1", "north"], ["Camera 1", "south"], ["Camera 1"]]
    assert (told["gop"], camera.media.state.encoders["main"].gop) == (12, 12)
    assert (told["ntp"], told["host"], told["users"]) == ("192.0.2.1", "camera", 1)
    assert told["properties"]
    assert camera.system.clock_type == "Manual"
    assert told["event"].endswith("Device/Trigger/DigitalInput")
    _check_head(told["head"], camera)
    imaging = told["imaging"]
    assert (imaging["before"]["irCutFilter"], imaging["after"]["irCutFilter"]) == ("AUTO", "OFF")
    assert imaging["after"]["exposure"] == {"mode": "MANUAL", "exposureTime": 4000, "gain": 0}
    assert camera.imaging.focus == 0.0


def _check_head(head, camera) -> None:
    """Places, presets, home and auxiliaries, as the foreign client was told and as they became."""
    assert head["nodes"] == ["ptz-node"]
    assert len(head["configurations"]) == 1
    assert head["absolute"]["x"] == pytest.approx(0.2, abs=1e-3)
    assert head["relative"]["x"] == pytest.approx(0.1, abs=1e-3)
    assert head["preset"]["x"] == head["home"]["x"] == pytest.approx(0.1, abs=1e-3)
    assert head["set"] in str(head["presets"])
    assert head["left"] == 2
    assert camera.head.auxiliaries == ["tt:Wiper|On"]
    assert head["washer"] == "refused"


async def _press_the_bell(camera) -> None:
    while True:
        if camera.events.points:
            camera.fire(DIGITAL_INPUT, {"InputToken": "1"}, {"LogicalState": "true"})
        await asyncio.sleep(0.3)


_BROKEN = ("GetStatus", "GetPresets", "GetConfigurations")


def _is_malformed(line, name: str, profile: str) -> bool:
    """Say whether the camera's own answer, before we mend it, is no XML."""
    question = f"<tptz:{name}><tptz:ProfileToken>{profile}</tptz:ProfileToken></tptz:{name}>"
    answer = line.link.call(line.url(Service.PTZ), onvif_answers.envelope(question))
    try:
        etree.fromstring(answer.content)
    except etree.XMLSyntaxError:
        return True
    return False


@asynccontextmanager
async def _ipycam(request, port: int, *, faketime: str = ""):
    folder = await asyncio.to_thread(foreign.ipycam, request)
    before = ("faketime", "-f", faketime) if faketime else ()
    camera = await asyncio.create_subprocess_exec(
        *before,
        sys.executable,
        str(_HERE / "ipycam_camera.py"),
        *(str(port), _USER, _PASSWORD),
        env={**os.environ, "PYTHONPATH": str(folder)},
        cwd=request.getfixturevalue("tmp_path"),  # it writes its presets down where it stands
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(40):
            assert await camera.stdout.readline() == b"ready\n"
        yield f"http://127.0.0.1:{port}/onvif/device_service"
    finally:
        with contextlib.suppress(ProcessLookupError):  # faketime has the camera as its child
            os.killpg(camera.pid, signal.SIGKILL)
        await camera.communicate()


async def test_ipycam_is_known_moved_and_stopped_for_all_its_malformed_answers(
    request, unused_tcp_port
):
    async with _ipycam(request, unused_tcp_port) as url:

        def visit() -> None:
            control = ZeepCamera(url, Login(_USER, _PASSWORD), SystemClock())
            facts = control.facts()
            assert (facts.serial, facts.has_ptz) == ("PY-000001", True)
            sizes = {(p.width_px, p.height_px) for p in control.profiles()}
            assert (1920, 1080) in sizes
            main = next(p for p in control.profiles() if p.width_px == 1920)
            assert control.stream_url(main.token).startswith("rtsp://127.0.0.1:8554/")
            control.move(1.0, 0.0, 0.0, 5.0)
            assert control.position().pan is not None
            control.stop()
            assert [_is_malformed(control.line, name, main.token) for name in _BROKEN] == [True] * 3
            seen = care.identity(control.line)
            assert seen.serial == "PY-000001"
            assert media.profiles(control.line)
            control.close()

        await asyncio.to_thread(visit)


@pytest.mark.parametrize(
    "faketime",
    ["", "+2h"],
    ids=["its clock right", "its clock two hours off"],
)
async def test_ipycam_s_head_is_used_through_the_gate_and_its_state_is_pictured(
    request, unused_tcp_port, faketime
):
    async with _ipycam(request, unused_tcp_port, faketime=faketime) as url:
        clock = SystemClock()
        gate = CameraGate(lambda: ZeepCamera(url, Login(_USER, _PASSWORD), clock), clock)
        assert (await gate.facts()).has_ptz
        before = await gate.head(lambda head: head.presets())  # malformed: an undeclared prefix
        assert await gate.move(0.5, 0.0, 0.0, 5.0) is MoveResult.SENT
        await gate.stop()
        kept = await gate.head(lambda head: head.set_preset("north"))
        assert len(await gate.head(lambda head: head.presets())) == len(before) + 1
        assert await gate.go(lambda head: head.goto_preset(kept.token)) is MoveResult.SENT
        await gate.stop()
        assert (await gate.position()).pan is not None
        picture = await gate.over(settings_picture)
        assert any(path.startswith("Presets[") for path in picture)
        with pytest.raises(CameraFailure):
            await gate.over(lambda line: line.ask(Service.EVENTS, "<tev:GetEventProperties/>"))
        await gate.close()


async def test_a_foreign_camera_whose_clock_is_two_hours_off_still_lets_us_in(
    request, unused_tcp_port
):
    async with _ipycam(request, unused_tcp_port, faketime="+2h") as url:

        def visit() -> None:
            control = ZeepCamera(url, Login(_USER, _PASSWORD), SystemClock())
            assert control.facts().serial == "PY-000001"
            ahead_s = control.clock_ahead_s()
            assert ahead_s == pytest.approx(7200, abs=30)
            control.close()
            with pytest.raises(CameraWrongPassword):
                ZeepCamera(url, Login(_USER, "wrong"), SystemClock()).facts()

        await asyncio.to_thread(visit)
