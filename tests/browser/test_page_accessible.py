"""axe-core finds nothing serious on any page of the box, in either language, at phone size."""

import functools
from collections.abc import Callable
from importlib import resources

import pytest

from agent.local.web.app import create_app
from tests.browser.chromium import Browser
from tests.browser.page_server import served
from tests.browser.shown_box import ShownBox
from tests.claimed_box import claimed_box, cookie_of

Browse = Callable[..., Browser]

SMALL_PHONE = (360, 740)
FOUND = "return window.axeFound"
RUN = """
    axe.run(document, {resultTypes: ['violations']}).then((result) => {
        window.axeFound = result.violations
            .filter(({impact}) => impact === 'serious' || impact === 'critical')
            .map(({id, nodes}) => `${id}: ${nodes.map((node) => node.html).join(' ')}`);
        window.axeRules = result.violations.length + result.passes.length;
    });
"""


@functools.cache
def axe() -> str:
    return resources.files("axe_core_python").joinpath("axe.min.js").read_text("utf-8")


def serious_of(browser: Browser) -> list[str]:
    browser.run("delete window.axeFound;" + axe() + RUN)
    browser.wait("return Array.isArray(window.axeFound)", within_s=60)
    assert browser.run("return window.axeRules") > 5  # it really looked
    return browser.run(FOUND)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_front_page(browse: Browse, language):
    box = ShownBox()
    with served(create_app(box, box.clock)) as page:
        browser = browse(language)
        browser.size(*SMALL_PHONE)
        browser.go(page.url)
        browser.wait("return document.querySelector('[data-camera=gate] img')?.naturalWidth > 0")
        browser.wait("return document.querySelector('.event')")
        browser.run("document.querySelector('details').open = true")
        browser.wait("return document.querySelectorAll('.processes li').length === 2")
        assert serious_of(browser) == []


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_pages_to_come_in_by(browse: Browse, tmp_path, language):
    shell = tmp_path / "network/run/poleside-shell/state.json"
    shell.parent.mkdir(parents=True)
    shell.write_text('{"until_s": 4000000000, "by": "page:kim"}')
    with claimed_box(tmp_path) as box:
        browser = browse(language)
        browser.size(*SMALL_PHONE)
        browser.go(f"{box.page.url}/claim")
        assert serious_of(browser) == []
        name, _, value = cookie_of(box.take_over()).partition("=")
        browser.go(f"{box.page.url}/login")
        assert serious_of(browser) == []
        browser.cdp("Network.setCookie", name=name, value=value, url=box.page.url)
        for path in ("/account", "/people", "/audit", "/service"):
            browser.go(f"{box.page.url}{path}")
            assert serious_of(browser) == [], path
            assert browser.run("return document.documentElement.scrollWidth") <= SMALL_PHONE[0]
        assert (
            browser.run("return document.querySelectorAll('#shell-title, #lamp-title').length") == 2
        )


def test_a_planted_fault_is_found(browse: Browse):
    box = ShownBox()
    with served(create_app(box, box.clock)) as page:
        browser = browse()
        browser.go(page.url)
        browser.wait("return document.querySelector('.light.red')")
        browser.run("document.querySelector('#language').textContent = ''")
        assert [found.partition(":")[0] for found in serious_of(browser)] == ["link-name"]
