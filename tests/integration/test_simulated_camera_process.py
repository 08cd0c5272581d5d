"""The simulated camera as others run it: a process with RTSP and ONVIF, found by its log line."""

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import av
import pytest

from agent.cameras.gate import CameraGate
from agent.cameras.port import Login
from agent.cameras.zeep_backend import ZeepCamera
from agent.core.clock import SystemClock
from tests.footage_maker import make_clip

OPTIONS = {
    "rtsp_transport": "tcp",
    "timeout": "5000000",
    "analyzeduration": "0",
    "probesize": "32",
    "fpsprobesize": "0",
}


@asynccontextmanager
async def camera_process(folder, **changes):
    views = {"main_views": {}, "sub_views": {}}
    for name, ground in (("left", 40), ("right", 160)):
        main = make_clip(folder / f"{name}-main.mp4", ground=ground)
        sub = make_clip(folder / f"{name}-sub.mp4", size_px=(160, 160), fps=5, ground=ground)
        views["main_views"][name], views["sub_views"][name] = str(main), str(sub)
    config = {"name": "Gate", "username": "admin", "password": "geheim", "ptz": True} | views
    file = folder / "camera.json"
    file.write_text(json.dumps(config | changes))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "agent.simulators.camera", "--config", str(file)),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        ready = {}
        while "rtsp_port" not in ready:
            ready = json.loads(await process.stderr.readline())
        yield process, ready
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def with_login(url):
    parts = urlsplit(url)
    return parts._replace(netloc=f"admin:geheim@{parts.netloc}").geturl()


def brightness(url):
    with av.open(with_login(url), options=OPTIONS, timeout=(5, 5)) as container:
        return next(container.decode(video=0)).to_ndarray(format="gray").mean()


async def test_onvif_leads_to_the_streams_and_turns_the_picture(tmp_path):
    async with camera_process(tmp_path) as (_, ready):
        clock = SystemClock()
        login = Login("admin", "geheim")
        gate = CameraGate(lambda: ZeepCamera(ready["onvif_url"], login, clock), clock)
        try:
            streams = await gate.streams()
            assert (streams.main.width_px, streams.sub.width_px) == (320, 160)
            assert await asyncio.to_thread(brightness, streams.sub_url) < 110
            assert await asyncio.to_thread(brightness, streams.main_url) < 110

            await gate.move(1.0, 0.0, 0.0, 3.0)
            async with asyncio.timeout(20):
                while await asyncio.to_thread(brightness, streams.main_url) < 140:
                    pass
        finally:
            await gate.close()


async def test_faults_come_and_go_with_the_faults_file(tmp_path):
    faults = tmp_path / "faults.json"
    async with camera_process(tmp_path, faults_file=str(faults)) as (_, ready):
        url = f"rtsp://127.0.0.1:{ready['rtsp_port']}/main"
        faults.write_text('{"rtsp": {"refuse": true}}')
        async with asyncio.timeout(20):
            while True:
                try:
                    await asyncio.to_thread(brightness, url)
                except av.error.ConnectionRefusedError:
                    break
        faults.unlink()
        async with asyncio.timeout(20):
            while True:
                try:
                    await asyncio.to_thread(brightness, url)
                except av.error.ConnectionRefusedError:
                    await asyncio.sleep(0.1)
                else:
                    break


async def test_a_taken_port_is_said_plainly_and_ends_the_process(tmp_path):
    async with camera_process(tmp_path) as (_, ready):
        file = tmp_path / "other.json"
        config = json.loads((tmp_path / "camera.json").read_text())
        file.write_text(json.dumps(config | {"rtsp_port": ready["rtsp_port"]}))
        other = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "agent.simulators.camera", "--config", str(file)),
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await other.communicate()
        assert other.returncode == 1
        assert str(ready["rtsp_port"]) in errors.decode()
        assert "Traceback" not in errors.decode()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"rtsp_port": "many"}, "rtsp_port"),
        ({"colour": "red"}, "colour"),
        ({"sub_views": {"other": "x.mp4"}}, "sub_views"),
        ({"main_views": {"a": "none.mp4"}, "sub_views": {"a": "none.mp4"}}, "none.mp4"),
    ],
)
async def test_a_wrong_configuration_names_what_is_wrong(tmp_path, changes, word):
    file = tmp_path / "camera.json"
    config = {"name": "Gate", "main_views": {"a": "a.mp4"}, "sub_views": {"a": "a.mp4"}}
    file.write_text(json.dumps(config | changes))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "agent.simulators.camera", "--config", str(file)),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert word in errors.decode()
    assert "Traceback" not in errors.decode()
