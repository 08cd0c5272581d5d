"""What the front page costs and how one comes in, in a real browser at phone size."""

import json
from collections.abc import Callable

import pytest

from agent.local.access.claim import make_code, make_secret
from agent.local.web.app import create_app
from tests.browser.chromium import Browser
from tests.browser.page_server import served
from tests.browser.shown_box import ShownBox
from tests.claimed_box import PASSWORD, claimed_box, cookie_of

Browse = Callable[..., Browser]

SMALL_PHONE = (360, 740)
FIRST_PAINT_BYTES = 100_000
PAINTED = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
# What had come (headers too) for everything asked for before the first paint, page included.
CAME = """
    const painted = performance.getEntriesByName('first-contentful-paint')[0].startTime;
    const of = (type) => performance.getEntriesByType(type);
    const all = [...of('navigation'), ...of('resource')];
    return all.filter(one => one.startTime <= painted).map(one => [one.name, one.transferSize]);
"""
SMALL = """
    return [...document.querySelectorAll('button, a, summary, input, select')]
        .filter(one => one.getClientRects().length && one.getBoundingClientRect().height < 48)
        .map(one => one.outerHTML);
"""

GROUND = "return getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)"
# Rules for a pointer that hovers may colour, but nothing may come to light by them alone.
ONLY_BY_HOVER = """
    const rules = [...document.styleSheets].flatMap(sheet => [...sheet.cssRules]);
    const hides = ['display', 'visibility', 'opacity', 'content', 'transform'];
    return rules.filter(rule => rule.selectorText?.includes(':hover')
        && hides.some(name => rule.style.getPropertyValue(name))).map(rule => rule.cssText);
"""


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_first_paint_takes_less_than_100_kb(browse: Browse, language):
    box = ShownBox()
    with served(create_app(box, box.clock)) as page:
        browser = browse(language)
        browser.size(*SMALL_PHONE)
        browser.go(page.url)
        browser.wait(PAINTED)
        browser.wait("return document.querySelector('.light.red .hint')")
        came = browser.run(CAME)
        total = sum(size for _, size in came)
        print(f"first paint ({language}): {total} bytes in {len(came)} answers")  # noqa: T201
        assert len(came) >= 3
        assert 0 < total <= FIRST_PAINT_BYTES


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_technician_claims_signs_out_and_in_with_a_thumb(browse: Browse, tmp_path, language):
    with claimed_box(tmp_path) as box:
        browser = browse(language)
        browser.size(*SMALL_PHONE)
        secret, code = make_secret(tmp_path), make_code(tmp_path, box.clock)
        browser.go(f"{box.page.url}/claim#{secret}")  # as the QR label says it
        browser.wait("return document.querySelector('#secret').value")
        assert browser.run("return location.hash") == ""
        looks_good(browser, tmp_path / f"claim-{language}.png")
        fill(browser, code=code, name="kim", password=PASSWORD)
        browser.click("form button")
        browser.wait("return document.querySelector('.light.red .hint')")

        browser.click("a[href='/account']")
        browser.wait("return document.querySelector('form[action=\"/logout\"]')")
        looks_good(browser, tmp_path / f"account-{language}.png")
        browser.click("a[href='/people']")
        browser.wait("return document.querySelector('select')")
        looks_good(browser, tmp_path / f"people-{language}.png")
        fill(browser, name="lee", password=PASSWORD)
        browser.click("form.fields button")
        browser.wait("return document.querySelectorAll('.rows-list li').length === 2")
        browser.go(f"{box.page.url}/audit")
        browser.wait("return document.querySelectorAll('.rows-list li').length >= 2")
        looks_good(browser, tmp_path / f"audit-{language}.png")

        browser.go(f"{box.page.url}/account")
        browser.click("form[action='/logout'] button")
        browser.wait("return document.querySelector('form[action=\"/login\"]')")
        fill(browser, name="kim", password="wrong wrong wrong")
        browser.click("form button")
        browser.wait("return document.querySelector('[role=alert]')")
        looks_good(browser, tmp_path / f"refused-{language}.png")
        browser.complaints()  # the browser itself reports the refusal
        fill(browser, name="kim", password=PASSWORD)
        browser.click("form button")
        browser.wait("return document.querySelector('.light.red .hint')")
        assert browser.complaints() == []


def test_another_sites_page_can_neither_order_nor_read(browse: Browse, tmp_path):
    """The person is signed in; the foreign page is on another origin of the same machine."""
    with claimed_box(tmp_path) as box, served(_foreign_page()) as foreign:
        browser = browse()
        browser.go(f"{box.page.url}/login")
        name, _, value = cookie_of(box.take_over()).partition("=")
        browser.cdp(
            "Network.setCookie", name=name, value=value, url=box.page.url, sameSite="Strict"
        )
        browser.go(f"{box.page.url}/account")
        assert "kim" in browser.text()
        browser.go(foreign.url.replace("127.0.0.1", "localhost"))
        script = """
            const form = document.createElement('form');
            form.method = 'post'; form.action = arguments[0] + '/people/remove';
            form.innerHTML = '<input name="name" value="kim">';
            document.body.append(form); form.submit();
        """
        browser.run(script, box.page.url)
        browser.wait("return document.body?.innerText.includes('access.')")
        assert json.loads(browser.text())["error"] in ("access.sign_in", "access.origin")
        assert "kim" in browser_sees(browser, box.page.url)


def browser_sees(browser: Browser, url: str) -> str:
    browser.go(f"{url}/people")
    return browser.text()


def _foreign_page():
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse
    from starlette.routing import Route

    return Starlette(routes=[Route("/", lambda _: HTMLResponse("<p>Win a phone!</p>"))])


def fill(browser: Browser, **values: str) -> None:
    for name, value in values.items():
        script = "document.querySelector(`.fields [name=${arguments[0]}]`).value = arguments[1]"
        browser.run(script, name, value)


def looks_good(browser: Browser, picture) -> None:
    """It fits a narrow phone, is dark, made for thumbs, and is kept as test output."""
    assert browser.run("return document.documentElement.scrollWidth") <= SMALL_PHONE[0]
    assert browser.run("return getComputedStyle(document.body).fontSize") == "18px"
    assert browser.run(SMALL) == []
    assert max(browser.run(GROUND)) < 48
    assert browser.run(ONLY_BY_HOVER) == []
    browser.screenshot(picture, whole=True)
