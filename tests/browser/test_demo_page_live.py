"""The demo, all of it running, in a real browser: live pictures, an event, PTZ, a clip, the end."""

import asyncio
import contextlib
import http.client
import io
import json
import time
from collections.abc import Callable

import av
import numpy as np
import psutil
import pytest

from agent.cameras.gate import CameraGate
from agent.cameras.port import Login
from agent.cameras.zeep_backend import ZeepCamera
from agent.core.clock import SystemClock
from tests.browser.chromium import Browser
from tests.browser.conftest import colours_in
from tests.running_demo import RunningDemo

Browse = Callable[..., Browser]

pytestmark = pytest.mark.slow

PHONE, DESKTOP = (390, 844), (1440, 900)
BOTH_SHOWN = (
    "return ['cam-1', 'cam-2'].every(id =>"
    " document.querySelector(`[data-camera=${id}] img`)?.naturalWidth > 0)"
)
VIDEO = "document.querySelector('#viewer video')"
THUMBNAIL = "return document.querySelector('#events .event img')?.naturalWidth > 0"


@pytest.fixture(scope="module")
def demo(tmp_path_factory, demo_cache):
    with RunningDemo(tmp_path_factory.mktemp("live"), demo_cache) as demo:
        demo.url = demo.page()
        yield demo


@pytest.fixture
def page(demo, browse: Browse) -> Browser:
    browser = browse()
    browser.size(*DESKTOP)
    browser.go(demo.url)
    browser.wait(BOTH_SHOWN)
    return browser


def pid_of(demo: RunningDemo, name: str) -> int:
    rows = json.loads((demo.data_dir / "box" / "run" / "processes.json").read_bytes())
    return next(row["pid"] for row in rows if row["name"] == name)


def picture_of(page: Browser, camera_id: str) -> np.ndarray:
    """Return what the browser shows of a camera, small and grey."""
    script = """
        const image = document.querySelector(`[data-camera=${arguments[0]}] img`);
        const canvas = new OffscreenCanvas(64, 48).getContext('2d');
        canvas.drawImage(image, 0, 0, 64, 48);
        return [...canvas.getImageData(0, 0, 64, 48).data];
    """
    return np.array(page.run(script, camera_id)).reshape(48, 64, 4)[..., :3].mean(axis=2)


def test_the_pictures_are_live_and_an_event_comes_with_its_snapshot(page):
    for camera_id in ("cam-1", "cam-2"):
        before = picture_of(page, camera_id)
        assert before.std() > 5  # a picture, not a colour
        deadline_s = time.monotonic() + 10
        while np.array_equal(before, picture_of(page, camera_id)):
            assert time.monotonic() < deadline_s, "the picture stands still"
            time.sleep(0.1)
    page.wait(THUMBNAIL, within_s=45)  # the drawn street sees somebody walk by every 20 s
    assert "person" in page.run("return document.querySelector('#events').innerText").lower()


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("whose", ["demo", "box"])
def test_it_fits_and_looks_like_something(demo, browse: Browse, tmp_path, size, whose):
    browser = browse()
    browser.size(*size)
    browser.go(demo.url if whose == "demo" else f"http://127.0.0.1:{box_port(demo)}/")
    browser.wait(BOTH_SHOWN)
    browser.wait("return document.querySelector('.strip .recorded, .strip *')")
    assert browser.run("return document.documentElement.scrollWidth") <= size[0]
    assert colours_in(browser.screenshot(tmp_path / f"{whose}-{size[0]}.png")) > 20
    browser.screenshot(tmp_path / f"{whose}-{size[0]}-whole.png", whole=True)
    assert browser.complaints() == []


async def test_an_arrow_moves_the_camera(demo, page):
    config = json.loads((demo.data_dir / "cameras" / "cam-2.json").read_bytes())
    clock, login = SystemClock(), Login(config["username"], config["password"])
    url = f"http://127.0.0.1:{config['onvif_port']}/onvif/device_service"
    gate = CameraGate(lambda: ZeepCamera(url, login, clock), clock)
    try:
        before, seen = await gate.position(), picture_of(page, "cam-2")
        page.hold("[data-camera=cam-2] [data-move=right]", for_s=2.0)
        page.wait("return document.querySelectorAll('#log b').length >= 2")
        after = await gate.position()
    finally:
        await gate.close()
    assert after.pan > before.pan + 0.2
    await asyncio.to_thread(until_other, page, seen)


def until_other(page: Browser, seen: np.ndarray) -> None:
    deadline_s = time.monotonic() + 10
    while np.abs(picture_of(page, "cam-2") - seen).mean() < 3:
        assert time.monotonic() < deadline_s, "another direction, but the same picture"
        time.sleep(0.2)


async def test_the_119_button_turns_the_camera_and_its_picture_arrives_at_the_relay(demo, page):
    config = json.loads((demo.data_dir / "cameras" / "cam-2.json").read_bytes())
    clock, login = SystemClock(), Login(config["username"], config["password"])
    url = f"http://127.0.0.1:{config['onvif_port']}/onvif/device_service"
    gate = CameraGate(lambda: ZeepCamera(url, login, clock), clock)
    live = "document.querySelector('[data-relayed=bx-demo-cam-2]')"
    try:
        await asyncio.to_thread(page.run, "document.querySelector('#fire-button').click()")
        await asyncio.to_thread(
            page.wait, f"return {live}?.querySelector('img').naturalWidth > 0", 45
        )
        turned = f"return {live}?.innerText.includes('turned to the place')"
        await asyncio.to_thread(page.wait, turned, 30)
        print(page.run(f"return {live}.innerText"))  # noqa: T201
        while (await gate.position()).pan < 0.4:  # noqa: ASYNC110  it looks straight ahead else
            await asyncio.sleep(0.1)
        page.run("document.querySelector('#fire-button').click()")
        await asyncio.to_thread(page.wait, f"return !{live}", 30)
    finally:
        await gate.close()
    assert page.complaints() == []


def test_the_clip_of_an_event_plays_as_h264(demo, page):
    page.wait(THUMBNAIL, within_s=45)
    page.run("document.querySelector('#events .event:last-child button').click()")
    page.wait(f"return {VIDEO}?.videoWidth > 0", within_s=40)
    page.run(f"const video = {VIDEO}; video.muted = true; video.play()")
    page.wait(f"return {VIDEO}.currentTime > 0.5")
    assert codec_at(demo, page.run(f"return {VIDEO}.currentSrc")) == "h264"
    assert page.complaints() == []


def codec_at(demo: RunningDemo, url: str) -> str:
    """Return the codec of a clip that the center's page gives out."""
    host = demo.url.removeprefix("http://").rstrip("/")
    with contextlib.closing(http.client.HTTPConnection(host, timeout=10)) as connection:
        connection.request("GET", url[url.index("/api") :])
        content = connection.getresponse().read()
    with av.open(io.BytesIO(content)) as clip:
        return clip.streams.video[0].codec_context.name


def test_what_is_old_turns_grey_while_the_box_is_away_and_comes_back(demo, page):
    supervisor = psutil.Process(pid_of(demo, "supervisor"))
    supervisor.suspend()  # it can't start the core again
    try:
        psutil.Process(pid_of(demo, "core")).kill()
        page.wait("return document.querySelector('.pole .light.lost')")
        page.wait("return document.querySelector('[data-camera=cam-1] .picture.stale')")
        assert "Connection to the box lost" in page.text()
    finally:
        supervisor.resume()
    page.wait("return !document.querySelector('.light.lost')", within_s=30)
    page.wait("return !document.querySelector('[data-camera=cam-1] .picture.stale')", within_s=30)


def box_port(demo: RunningDemo) -> int:
    text = (demo.data_dir / "box.toml").read_text()
    return int(text.partition('listen = "127.0.0.1:')[2].partition('"')[0])
