"""The page on the box, in a real browser: it fits, tells the truth, and trusts no camera's name."""

from collections.abc import Callable

import pytest

from agent.local.web.app import create_app
from agent.local.web.view import Light
from tests.browser.chromium import Browser
from tests.browser.conftest import colours_in
from tests.browser.page_server import served
from tests.browser.shown_box import ShownBox
from tests.claimed_box import claimed_box, cookie_of

Browse = Callable[..., Browser]

PHONE, SMALL_PHONE, DESKTOP = (390, 844), (360, 740), (1440, 900)
PICTURE_SHOWN = "return document.querySelector('[data-camera=gate] img')?.naturalWidth > 0"
AGE = "return document.querySelector('[data-camera=gate] .age').textContent"


@pytest.fixture
def box() -> ShownBox:
    return ShownBox()


@pytest.mark.parametrize("size", [SMALL_PHONE, PHONE, DESKTOP], ids=str)
def test_it_fits_the_screen_and_the_console_stays_clean(box, browse: Browse, size, tmp_path):
    with served(create_app(box, box.clock)) as page:
        browser = browse()
        browser.size(*size)
        browser.go(page.url)
        browser.wait(PICTURE_SHOWN)
        browser.run("document.querySelector('details').open = true")
        browser.wait("return document.querySelectorAll('.processes li').length === 2")

        scroll_px = browser.run("return document.documentElement.scrollWidth")
        assert scroll_px <= size[0]
        assert browser.complaints() == []
        assert colours_in(browser.screenshot(tmp_path / "page.png")) > 20


def test_text_is_large_and_buttons_are_made_for_thumbs(box, browse: Browse):
    with served(create_app(box, box.clock)) as page:
        browser = browse()
        browser.size(*SMALL_PHONE)
        browser.go(page.url)
        browser.wait(PICTURE_SHOWN)

        assert browser.run("return getComputedStyle(document.body).fontSize") == "18px"
        small = browser.run(
            "return [...document.querySelectorAll('button, a, summary')]"
            ".map(e => [e.className, e.getBoundingClientRect().height])"
            ".filter(([, height]) => height < 48)"
        )
        assert small == []


def test_a_rule_in_its_shadow_time_shows_what_it_would_have_raised(box, browse: Browse):
    with served(create_app(box, box.clock)) as page:
        browser = browse()
        browser.go(page.url)
        browser.wait(PICTURE_SHOWN)
        facts = browser.run("return document.querySelector('[data-camera=gate] .facts').innerText")
        assert "door: would have raised 3 in 1.5 of 7 days" in facts


def test_a_fault_is_a_sentence_and_one_thing_to_do(box, browse: Browse):
    with served(create_app(box, box.clock)) as page:
        browser = browse()
        browser.go(page.url)
        browser.wait("return document.querySelector('.light.red .hint')")
        text = browser.text()
        assert "does not answer" in text
        assert "Check its power and network cable" in text

        box.light = Light.GREEN
        browser.wait("return document.querySelector('.light.green')")
        assert "Everything works" in browser.text()


def test_what_nobody_knows_is_shown_as_unknown(box, browse: Browse):
    with served(create_app(box, box.clock)) as page:
        browser = browse()
        browser.go(page.url)
        facts = browser.wait(
            "return document.querySelector('[data-camera=yard] .facts')?.innerText"
        )
        assert facts.count("unknown") >= 3
        assert "slow-down unknown" in browser.text()


def test_a_frozen_picture_turns_grey_and_says_so(box, browse: Browse, tmp_path):
    with served(create_app(box, box.clock)) as page:
        browser = browse()
        browser.go(page.url)
        browser.wait(PICTURE_SHOWN)
        browser.wait("return document.querySelector('[data-camera=gate] .age').textContent")
        assert browser.run(AGE).startswith("LIVE")

        box.freeze()
        browser.wait("return document.querySelector('[data-camera=gate] .picture.stale')")
        assert browser.run(AGE).startswith("Not live")
        drawn = "document.querySelector('[data-camera=gate] .shapes')"
        assert browser.run(f"return getComputedStyle({drawn}).display") == "none"
        assert colours_in(browser.screenshot(tmp_path / "stale.png")) > 20

        box.is_frozen = False
        browser.wait("return !document.querySelector('[data-camera=gate] .picture.stale')")


def test_the_drawing_belongs_to_the_picture_it_lies_on(box, browse: Browse):
    """The person is a bright square in the picture: the drawn rectangle must sit on it."""
    with served(create_app(box, box.clock)) as page:
        browser = browse()
        browser.go(page.url)
        browser.wait(PICTURE_SHOWN)
        brightest = """
            const picture = document.querySelector('[data-camera=gate] .picture');
            const image = picture.querySelector('img');
            const canvas = new OffscreenCanvas(image.naturalWidth, 1).getContext('2d');
            canvas.drawImage(image, 0, -130);
            const row = canvas.getImageData(0, 0, image.naturalWidth, 1).data;
            let left = 0;
            while (left < image.naturalWidth && row[left * 4] < 190) left += 1;
            return [left, Number(picture.querySelector('.object').getAttribute('x'))];
        """
        seen = [browser.run(brightest) for _ in range(20)]
        assert all(abs(pixel - drawn) <= 8 for pixel, drawn in seen), seen


def test_a_hostile_camera_name_is_only_text(browse: Browse):
    name = "<img src=x onerror=document.title='taken'><script>document.title='taken'</script>"
    box = ShownBox(name)
    with served(create_app(box, box.clock)) as page:
        browser = browse()
        browser.go(page.url)
        browser.wait(PICTURE_SHOWN)
        browser.wait("return document.querySelector('.event')")
        assert browser.run("return document.querySelector('.camera h3').textContent") == name
        assert browser.run("return document.title") == "Poleside box"
        assert browser.run("return document.querySelectorAll('.camera script').length") == 0
        assert browser.complaints() == []


def test_a_name_that_speaks_htmx_asks_for_nothing(browse: Browse):
    """In an element's text and in an attribute, as the page comes and as a part of it is put in."""
    order = 'hx-get="/api/state" hx-trigger="load, every 1s" hx-swap-oob="true" id="light"'
    box = ShownBox("plain")
    with served(create_app(box, box.clock)) as page:
        browser = browse()
        browser.go(page.url)
        browser.wait(PICTURE_SHOWN)
        box.name = f'" {order} x="<div {order}>\'><script>htmx.ajax("GET", "/api/state")</script>'
        name = "return document.querySelector('.camera h3').textContent === arguments[0]"
        browser.wait(name, box.name)
        browser.go(page.url)
        browser.wait(name, box.name)
        browser.wait("return document.querySelectorAll('.event').length")
        browser.run("window.since = performance.now()")
        browser.wait("return performance.now() - window.since > 2500")
        asked = "return performance.getEntriesByType('resource').map(entry => entry.name)"
        assert not [one for one in browser.run(asked) if "/api/state" in one]
        orders = "return document.querySelectorAll('main [hx-get], main [hx-trigger], main script')"
        assert browser.run(f"{orders}.length") == 0
        assert browser.run("return document.querySelectorAll('#light').length") == 1
        assert browser.complaints() == []


def test_a_session_that_is_over_leads_to_the_login(browse: Browse, tmp_path):
    with claimed_box(tmp_path) as box:
        name, _, value = cookie_of(box.take_over()).partition("=")
        browser = browse()
        browser.go(f"{box.page.url}/login")
        browser.cdp("Network.setCookie", name=name, value=value, url=box.page.url)
        browser.go(box.page.url)
        browser.wait("return document.querySelector('.light.red')")
        box.desk.sessions.end(value)
        browser.wait("return document.querySelector('form[action=\"/login\"]')")


def test_what_says_the_same_is_not_touched(box, browse: Browse):
    """A screen reader must not say it again, and what is focused or marked must stay so."""
    with served(create_app(box, box.clock)) as page:
        browser = browse()
        browser.go(page.url)
        browser.wait(PICTURE_SHOWN)
        browser.run(
            "const parts = ['.light', '.camera', '.event', '.pills'];"
            "window.kept = parts.map(one => document.querySelector(one));"
            "window.clock = document.querySelector('#tiles').textContent;"
        )
        browser.wait("return document.querySelector('#tiles').textContent !== window.clock")
        browser.wait("return document.querySelector('#tiles').textContent !== window.clock")
        assert browser.run("return window.kept.every(one => one.isConnected)")
        box.light = Light.GREEN
        browser.wait("return document.querySelector('.light.green')")
        assert browser.run("return window.kept.slice(1).every(one => one.isConnected)")


def test_a_page_left_open_for_a_day_keeps_nothing_of_what_it_showed(box, browse: Browse):
    """Every part is put in anew again and again: elements, listeners and questions stay as many."""
    with served(create_app(box, box.clock)) as page:
        browser = browse()
        browser.go(page.url)
        browser.wait(PICTURE_SHOWN)
        names = ("where", "light", "cameras", "tiles", "facts")
        script = """
            const [path, times] = arguments;
            window.isDone = false;
            (async () => {
                for (let n = 0; n < times; n += 1) await htmx.ajax("GET", path, {swap: "none"});
                window.isDone = true;
            })();
        """

        def held(times: int) -> dict[str, int]:
            browser.run(script, "/parts?" + "&".join(f"{name}=" for name in names), times)
            browser.wait("return window.isDone", within_s=60)
            browser.cdp("HeapProfiler.collectGarbage")
            return browser.cdp("Memory.getDOMCounters")

        before, after = held(5), held(40)
        for what in ("nodes", "jsEventListeners"):
            assert after[what] < before[what] * 2, (before, after)
        browser.run("performance.clearResourceTimings(); window.since = performance.now();")
        browser.wait("return performance.now() - window.since > 2000")
        lives = (
            "return performance.getEntriesByType('resource')"
            ".filter(({name}) => name.includes('/live')).length"
        )
        assert browser.run(lives) <= 30  # two pictures, four times a second


def test_the_browser_says_the_language_and_the_button_changes_it(box, browse: Browse):
    with served(create_app(box, box.clock)) as page:
        browser = browse("ko-KR,ko")
        browser.go(page.url)
        browser.wait("return document.querySelector('.light.red')")
        assert "지금 조치가 필요합니다" in browser.text()
        assert "함체에서 카메라 전원과 랜선을 확인하세요" in browser.text()

        browser.click("#language")
        browser.wait("return document.documentElement.lang === 'en'")
        browser.go(page.url)  # the choice is remembered
        browser.wait("return document.querySelector('.light.red')")
        assert "Needs a person now" in browser.text()


def test_a_tap_on_a_gap_tells_its_cause(box, browse: Browse):
    with served(create_app(box, box.clock)) as page:
        browser = browse()
        browser.size(*PHONE)
        browser.go(page.url)
        browser.wait("return document.querySelector('[data-camera=gate] .strip .gap')")
        browser.run(
            "const gap = document.querySelector('[data-camera=gate] .strip .gap');"
            "const {x, y} = gap.getBoundingClientRect();"
            "gap.parentElement.dispatchEvent(new MouseEvent('click',"
            " {bubbles: true, detail: 1, clientX: x + 2, clientY: y + 2}));"
        )
        note = browser.run("return document.querySelector('[data-camera=gate] .note').textContent")
        assert "the camera stopped sending" in note


def test_event_only_mode_is_said_and_its_unkept_time_is_no_gap(box, browse: Browse):
    box.is_event_only = True
    with served(create_app(box, box.clock)) as page:
        browser = browse()
        browser.go(page.url)
        browser.wait("return document.querySelector('[data-camera=gate] .strip .held')")
        browser.wait("return document.querySelector('[data-camera=gate] .strip .recorded.sub')")
        text = browser.run("return document.querySelector('[data-camera=gate]').textContent")
        assert "Recording events only" in text
        assert "Kept: events only" in text
        gaps = "return document.querySelectorAll('[data-camera=gate] .strip .gap').length"
        assert browser.run(gaps) == 1  # the camera's own silence, and nothing else


def test_a_box_out_of_reach_is_said_and_the_page_comes_back(box, browse: Browse):
    app = create_app(box, box.clock)
    with served(app) as page:
        browser = browse()
        browser.go(page.url)
        browser.wait(PICTURE_SHOWN)
        page.stop()
        browser.wait("return document.querySelector('.light.lost')")
        assert "Connection to the box lost" in browser.text()
        browser.wait("return document.querySelector('[data-camera=gate] .picture.stale')")
        with served(app, page.port):
            browser.wait("return document.querySelector('.light.red')")
            browser.wait("return !document.querySelector('[data-camera=gate] .picture.stale')")


def test_a_camera_taken_away_leaves_the_page_and_is_asked_for_no_more(box, browse: Browse):
    with served(create_app(box, box.clock)) as page:
        browser = browse()
        browser.go(page.url)
        browser.wait(PICTURE_SHOWN)
        box.camera_ids = ("yard",)
        browser.wait("return !document.querySelector('[data-camera=gate]')")
        asked = browser.run("return performance.getEntriesByType('resource').length")
        browser.wait(
            "return performance.getEntriesByType('resource').length >= arguments[0] + 8", asked
        )
        late = browser.run(
            "return performance.getEntriesByType('resource').slice(arguments[0] + 2)"
            ".filter(entry => entry.name.includes('/gate/')).length",
            asked,
        )
        assert late == 0


def test_a_page_that_comes_back_from_the_background_asks_no_faster(box, browse: Browse):
    """Waking must not start a second loop beside one whose question is under way."""
    with served(create_app(box, box.clock)) as page:
        browser = browse()
        browser.go(page.url)
        browser.wait(PICTURE_SHOWN)
        wakes = (
            "for (let i = 0; i < 40; i += 1) document.dispatchEvent(new Event('visibilitychange'));"
        )
        browser.run(wakes)
        browser.run("performance.clearResourceTimings(); window.since = performance.now();")
        browser.wait("return performance.now() - window.since > 3000")
        calls = (
            "return performance.getEntriesByType('resource')"
            ".filter(({name}) => name.includes('/parts?') && !name.includes('events=')).length"
        )
        assert 1 <= browser.run(calls) <= 4
