"""The technician's first steps at phone size: self-test, simulated cameras found and verified."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable

import pytest

from agent.cameras.port import CameraFailure
from agent.health.catalogue import CATALOGUE
from agent.local.setup.finder import host_port
from agent.local.setup.look import hint_of
from agent.local.setup.pages import SETUP_DIR
from tests.browser.chromium import Browser
from tests.browser.finger import open_page
from tests.browser.test_page_first_paint import looks_good
from tests.claimed_box import claimed_box, cookie_of
from tests.simulated_onvif import PASSWORD, USERNAME, running_camera

Browse = Callable[..., Browser]

FOUND = "return document.querySelectorAll('[data-found]').length === arguments[0]"
FORM = "[data-found='{}']"


@contextlib.contextmanager
def camera_in_thread(**config):
    """Run a simulated camera beside the test until the block ends; yield the device."""
    started, held = threading.Event(), []

    async def run():
        ended = asyncio.Event()
        async with running_camera(**config) as device:
            held.extend((device, asyncio.get_running_loop(), ended))
            started.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert started.wait(30)
        yield held[0]
    finally:
        _, loop, ended = held
        loop.call_soon_threadsafe(ended.set)
        thread.join(30)


@pytest.fixture
def box(tmp_path, unused_tcp_port):
    with (
        camera_in_thread(discovery_port=unused_tcp_port, name="<b>gate</b>") as camera,
        claimed_box(tmp_path, search_port=unused_tcp_port) as box,
    ):
        box.camera = camera
        yield box


def open_setup(browser, box):
    open_page(browser, box, "/account", "return document.querySelector(\"a[href='/setup']\")")
    browser.click("a[href='/setup']")
    browser.wait("return document.querySelectorAll('[data-test]').length === 5")


def fill(browser, username, password):
    for name, value in (("username", username), ("password", password)):
        browser.run(f"document.querySelector('#found [name={name}]').value = arguments[0]", value)
    browser.run("document.querySelector('#found form button').click()")


@pytest.mark.parametrize("language", ["en", "ko"])
def test_from_self_test_to_a_verified_camera(box, browse: Browse, tmp_path, language):
    browser = browse(language)
    open_setup(browser, box)
    results = browser.run(
        "return Object.fromEntries([...document.querySelectorAll('[data-test]')]"
        ".map(one => [one.dataset.test, one.dataset.result]))"
    )
    assert results == {
        "disk": "good", "heat": "good", "supply": "unknown", "uplink": "good", "clock": "good"
    }  # fmt: skip
    browser.click("#find")
    browser.wait(FOUND, 1)
    looks_good(browser, tmp_path / f"found-{language}.png")

    fill(browser, USERNAME, "wrong")
    browser.wait("return document.querySelector('[data-code=\"camera.wrong_password\"]')")
    looks_good(browser, tmp_path / f"wrong-{language}.png")
    fill(browser, USERNAME, PASSWORD)
    browser.wait("return document.querySelector('[data-stream=main]')")
    browser.wait("return document.querySelector('.still')?.naturalWidth > 0")
    looks_good(browser, tmp_path / f"verified-{language}.png")
    text = browser.text()
    assert "H264" in text
    assert ("카메라 확인됨" if language == "ko" else "Camera verified") in text
    assert browser.run("return document.querySelectorAll('#found b b').length") == 0

    browser.click("[data-accept] button")
    browser.wait("return document.querySelector('[data-accepted]')")
    looks_good(browser, tmp_path / f"accepted-{language}.png")
    accepted = browser.run("return document.querySelector('[data-accepted]').dataset.accepted")
    assert accepted == "b-gate-b"
    camera = box.config.settings.camera(accepted)
    assert (camera.name, camera.username, camera.password) == ("<b>gate</b>", USERNAME, PASSWORD)
    assert [change.added for change in box.changes_applied] == [(accepted,)]
    assert [one.actor for one in box.entries() if one.op == "settings.change"] == ["page:kim"]
    tried = [one.outcome for one in box.entries() if one.op == "page.camera"]
    assert tried == ["failed", "done"]
    assert PASSWORD not in json.dumps([repr(one) for one in box.entries()])
    assert browser.complaints() == []


def test_a_camera_of_the_settings_is_named_and_asked_for_no_password(box, browse: Browse):
    box.known[host_port(box.camera.url)] = "gate"
    browser = browse()
    open_setup(browser, box)
    browser.click("#find")
    browser.wait(FOUND, 1)
    assert "Set up as gate" in browser.text()
    browser.wait("return document.querySelector('[data-accepted=gate] .pill.good')")
    assert browser.run("return document.querySelectorAll('#found form').length") == 0


def test_a_box_out_of_reach_is_said_only_as_long_as_it_is(box, browse: Browse):
    browser = browse()
    open_setup(browser, box)
    line = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    note = "return document.querySelector('#found-note').textContent !== ''"
    browser.cdp("Network.enable")
    try:
        browser.cdp("Network.emulateNetworkConditions", offline=True, **line)
        browser.wait(note)
    finally:
        browser.cdp("Network.emulateNetworkConditions", offline=False, **line)
    browser.wait("return document.querySelector('#found-note').textContent === ''")


def test_only_what_was_found_is_spoken_to(box):
    cookie = cookie_of(box.take_over())
    for epr in ("", "urn:uuid:none", "http://169.254.169.254/"):
        answer = box.send("/setup/verify", cookie, csrf=box.csrf(cookie), epr=epr, username="a")
        assert answer.status == 404


def test_nothing_is_written_that_was_not_verified_or_does_not_fit(box, browse: Browse):
    cookie = cookie_of(box.take_over())
    csrf = box.csrf(cookie)

    def accept(camera_id):
        answer = box.send("/setup/accept", cookie, csrf=csrf, epr=epr, camera_id=camera_id, name="")
        return answer.status, json.loads(answer.body).get("error")

    found = json.loads(box.send("/setup/find", cookie, csrf=csrf).body)["found"]
    epr = found[0]["epr"]
    assert accept("new") == (409, "setup.not_verified")
    login = {"epr": epr, "username": USERNAME}
    box.send("/setup/verify", cookie, csrf=csrf, password="wrong", **login)
    assert accept("new") == (409, "setup.not_verified")
    box.send("/setup/verify", cookie, csrf=csrf, password=PASSWORD, **login)
    assert accept("gate") == (409, "setup.taken")
    for bad in ("", "Süd", "a/../b", "x" * 40):
        assert accept(bad) == (409, "settings.invalid")
    assert box.changes_applied == []
    assert not (box.folder / "local.json").exists()


def test_every_way_a_camera_fails_has_its_words_in_both_languages():
    def family(kind):
        return {kind}.union(*(family(each) for each in kind.__subclasses__()))

    words = [json.loads((SETUP_DIR / "words" / f"{n}.json").read_bytes()) for n in ("en", "ko")]
    for code in {kind.camera_code for kind in family(CameraFailure)}:
        hint = hint_of(code, "gate")
        if code in CATALOGUE and hint.sentence_ko:
            continue
        for each in words:
            assert f"fault.{code}" in each
            assert f"action.{code}" in each
