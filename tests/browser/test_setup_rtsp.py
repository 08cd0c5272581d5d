"""A camera without ONVIF at phone size: found by the makers' paths, let in, accepted."""

from collections.abc import Callable

import pytest

from agent.simulators.camera.media import load_media
from tests.browser.chromium import Browser
from tests.browser.finger import open_page
from tests.browser.test_page_accessible import serious_of
from tests.browser.test_page_first_paint import looks_good
from tests.browser.test_setup_page import FOUND, fill
from tests.camera_zoo import CameraLoop
from tests.claimed_box import claimed_box
from tests.footage_maker import make_clip
from tests.integration.test_setup_without_onvif import RIGHT, PlainCamera

Browse = Callable[..., Browser]

NAME = "<b>뒷마당</b>"
SHOWN = "return document.querySelectorAll('[data-test]').length === 5"
CODE = "return document.querySelector(`[data-code='${arguments[0]}']`)"


@pytest.fixture
def camera(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", size_px=(160, 120), seconds=1)
    camera = PlainCamera(load_media(clip))
    with CameraLoop([camera]):
        yield camera


@pytest.fixture
def box(tmp_path):
    with claimed_box(tmp_path) as box:
        yield box


def look_for(browser, address):
    browser.run(
        "document.querySelector('#rtsp-form input[name=address]').value = arguments[0]", address
    )
    browser.click("#rtsp-form button")


@pytest.mark.parametrize("language", ["en", "ko"])
def test_it_is_found_let_in_and_accepted(camera, box, browse: Browse, tmp_path, language):
    browser = browse(language)
    open_page(browser, box, "/setup", SHOWN)
    browser.click("details:has(#rtsp-form) summary")
    look_for(browser, "8.8.8.8")
    browser.wait(CODE, "setup.not_beside")
    looks_good(browser, tmp_path / f"rtsp-refused-{language}.png")
    browser.complaints()  # the browser itself reports the refusal

    look_for(browser, camera.address)
    browser.wait(FOUND, 1)
    assert browser.run("return document.querySelector('#rtsp-answer').textContent.trim()") == ""
    look_for(browser, camera.address)
    browser.wait("return document.querySelector('#rtsp-form button:enabled')")
    browser.wait(FOUND, 1)  # once more is no second one
    looks_good(browser, tmp_path / f"rtsp-found-{language}.png")
    assert serious_of(browser) == []
    assert camera.server.logins_seen == 0

    fill(browser, RIGHT["username"], "wrong")
    browser.wait(CODE, "camera.wrong_password")
    assert camera.server.logins_seen == 1
    fill(browser, *RIGHT.values())
    browser.wait("return document.querySelector('[data-accept]')")
    assert browser.run("return document.querySelectorAll('[data-stream]').length") == 2
    assert "H264" in browser.text()
    looks_good(browser, tmp_path / f"rtsp-verified-{language}.png")
    assert serious_of(browser) == []

    for field, value in (("camera_id", "yard-2"), ("name", NAME)):
        script = (
            "document.querySelector(`[data-accept] [name=${arguments[0]}]`).value = arguments[1]"
        )
        browser.run(script, field, value)
    browser.click("[data-accept] button")
    browser.wait("return document.querySelector('[data-accepted=yard-2]')")
    looks_good(browser, tmp_path / f"rtsp-accepted-{language}.png")
    there = box.config.settings.camera("yard-2")
    assert (there.name, there.onvif_url) == (NAME, "")
    assert there.main_url.startswith(f"rtsp://{camera.address}/")
    assert (there.username, there.password) == tuple(RIGHT.values())
    assert browser.complaints() == []
