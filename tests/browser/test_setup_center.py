"""Another way to the center: tried at once, and gone again unless somebody confirms it in time."""

from collections.abc import Callable

import pytest

from agent.settings.trial import LOST_S
from tests.browser.chromium import Browser
from tests.browser.finger import open_page
from tests.browser.test_page_accessible import serious_of
from tests.browser.test_page_first_paint import looks_good
from tests.claimed_box import claimed_box

Browse = Callable[..., Browser]

SHOWN = "return document.querySelector('#way-now').textContent.includes('mqtt://')"
NEW = "mqtts://new.example:8883"
TOLD = "return document.querySelector(`[data-way='${arguments[0]}']`)"


@pytest.fixture
def box(tmp_path):
    with claimed_box(tmp_path) as box:
        yield box


def open_setup(browser, box):
    open_page(browser, box, "/setup", SHOWN)
    browser.run("document.querySelector('#way-form').closest('details').open = true")


def put(browser, url):
    browser.run("document.querySelector('#way-form [name=url]').value = arguments[0]", url)
    browser.click("#way-form button")


def is_waiting(browser, waits):
    shown = "Boolean(document.querySelector('#way-confirm').getClientRects().length)"
    browser.wait(f"return {shown} === arguments[0]", waits)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_way_that_is_confirmed_stays(box, browse: Browse, tmp_path, language):
    browser = browse(language)
    open_setup(browser, box)
    before = box.config.settings.broker
    is_waiting(browser, False)
    put(browser, NEW)
    is_waiting(browser, True)
    looks_good(browser, tmp_path / f"trial-{language}.png")
    assert serious_of(browser) == []
    assert box.config.settings.broker.urls == (NEW,)
    assert box.config.settings.broker.username == before.username
    browser.click("#confirm")
    browser.wait(TOLD, "way-kept")
    is_waiting(browser, False)
    assert [one.op for one in box.entries()][-2:] == ["settings.change", "page.confirm"]
    assert browser.complaints() == []


def test_a_way_that_nobody_confirms_is_taken_back(box, browse: Browse):
    browser = browse()
    open_setup(browser, box)
    before = box.config.settings.broker
    put(browser, NEW)
    is_waiting(browser, True)
    box.pass_s(LOST_S + 10)
    browser.wait(TOLD, "way-back")
    assert box.config.settings.broker == before
    browser.run("document.querySelector('#confirm').click()")  # pressed a moment too late
    browser.wait("return document.querySelector('[data-code=\"setup.nothing_to_confirm\"]')")


def test_what_is_no_address_is_refused(box, browse: Browse):
    browser = browse()
    open_setup(browser, box)
    for bad in ("http://center.example", "center", "mqtt://"):
        put(browser, bad)
        browser.wait("return document.querySelector('[data-code=\"settings.address\"]')")
    assert box.changes_applied == []
