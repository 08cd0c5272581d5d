"""The tests at the pole, driven in a real browser at phone size; the code that is read back."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec import structs

from agent.contract.events import EventKind
from agent.local.web.view import CameraState, EventView, TimelineGap
from tests.browser.chromium import Browser
from tests.browser.finger import open_page
from tests.browser.shown_box import ShownBox
from tests.browser.test_page_accessible import serious_of
from tests.browser.test_page_first_paint import looks_good
from tests.claimed_box import claimed_box

Browse = Callable[..., Browser]

VERDICT = (
    "return document.querySelector('[data-site-test={}] [data-verdict]')"
    "?.dataset.verdict === arguments[0]"
)
BEGINS = (
    "return document.querySelector('[data-site-test={}] button:enabled')"
    "?.innerText === arguments[0]"
)


class TriedBox(ShownBox):
    """What it sees of the tests is set by the test."""

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.happened, self.cut, self.state_of_gate = 100, [], [], CameraState.ONLINE

    async def state(self):
        state = await super().state()
        gate, *others = state.cameras
        gate = structs.replace(gate, detections=self.seen, state=self.state_of_gate)
        return structs.replace(state, cameras=(gate, *others))

    async def events(self, limit):
        return (*reversed(self.happened), *await super().events(limit))[:limit]

    async def timeline(self, camera_id, last_s):
        timeline = await super().timeline(camera_id, last_s)
        return timeline and structs.replace(timeline, gaps=tuple(self.cut))

    def happens(self, kind, camera_id=None):
        began = self.clock.utc_now()
        event_id = f"01JD8Z3V7K5M2Q9W4R6T8Y0B{len(self.happened):02}"
        self.happened.append(
            EventView(event_id=event_id, kind=kind, phase="new", began=began, camera_id=camera_id)
        )


@pytest.fixture
def box(tmp_path):
    with claimed_box(tmp_path, shown=TriedBox()) as box:
        yield box


def open_tests(browser, box, path):
    open_page(browser, box, path, "return document.querySelector('[data-site-test]')")


def press(browser, kind):
    browser.click(f"[data-site-test={kind}] button")


def chained(box):
    return [(one.outcome, one.detail) for one in box.entries() if one.op == "page.test"]


def begins(browser, kind):
    press(browser, kind)
    browser.wait(VERDICT.format(kind), "running")


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_walk_counts_detections_and_alarms_from_its_beginning(
    box, browse: Browse, tmp_path, language
):
    browser = browse(language)
    box.shown.happens(EventKind.INTRUSION, "gate")
    box.shown.happened[-1] = structs.replace(
        box.shown.happened[-1], began=box.shown.clock.utc_now() - timedelta(minutes=5)
    )
    open_tests(browser, box, "/setup/cameras/gate")
    begins(browser, "walk")
    box.shown.seen = 117
    browser.wait("return document.body.innerText.includes('17')")
    box.shown.happens(EventKind.CAMERA_LOST, "gate")
    box.shown.happens(EventKind.INTRUSION, "yard")
    box.shown.happens(EventKind.INTRUSION, "gate")
    browser.wait(VERDICT.format("walk"), "passed")
    looks_good(browser, tmp_path / f"walk-{language}.png")
    assert serious_of(browser) == []
    press(browser, "walk")
    browser.wait(BEGINS.format("walk"), "Begin" if language == "en" else "시작")
    assert chained(box) == [("done", "walk gate: 17 detections, alarms: intrusion")]
    assert browser.complaints() == []


def test_the_keyboard_stays_where_begin_becomes_end_in_the_language_of_its_tab(box, browse: Browse):
    browser = browse("ko")
    open_tests(browser, box, "/setup/cameras/gate")
    browser.run("document.cookie = 'poleside_lang=en; path=/'")  # as another tab chooses it
    focused = "return document.activeElement.closest('[data-site-test=walk] button')?.innerText"
    browser.run("document.querySelector('[data-site-test=walk] button').focus()")
    for words in ("끝내기", "시작"):
        browser.run("document.activeElement.click()")  # as Enter and the space bar do
        browser.wait(f"{focused} === arguments[0]", words)
    assert browser.complaints() == []


def test_a_walk_that_nothing_came_of_has_not_passed(box, browse: Browse):
    browser = browse()
    open_tests(browser, box, "/setup/cameras/gate")
    begins(browser, "walk")
    press(browser, "walk")
    browser.wait(VERDICT.format("walk"), "failed")
    assert chained(box) == [("failed", "walk gate: 0 detections, alarms: none")]


def test_a_pulled_cable_is_noticed_and_its_gap_is_told(box, browse: Browse):
    browser = browse()
    open_tests(browser, box, "/setup/cameras/gate")
    begins(browser, "cable")
    began = box.shown.clock.utc_now()
    box.shown.state_of_gate = CameraState.LOST
    box.shown.cut = [TimelineGap(began=began, cause="unreachable")]
    browser.wait("return document.body.innerText.includes('plug it in again')")
    until = began + timedelta(seconds=12)
    box.shown.cut = [TimelineGap(began=began, until=until, cause="unreachable")]
    browser.wait("return document.body.innerText.includes('is gone')")  # not online yet
    box.shown.state_of_gate = CameraState.ONLINE
    browser.wait(VERDICT.format("cable"), "passed")
    assert "the camera was out of reach, 12 s" in browser.text()
    press(browser, "cable")
    browser.wait(BEGINS.format("cable"), "Begin")
    assert chained(box) == [("done", "cable gate: back unreachable")]


def test_a_bell_that_is_pressed_is_heard(box, browse: Browse, tmp_path):
    browser = browse()
    open_tests(browser, box, "/setup")
    begins(browser, "bell")
    box.shown.happens(EventKind.EMERGENCY_BELL)
    browser.wait(VERDICT.format("bell"), "passed")
    looks_good(browser, tmp_path / "bell.png")
    assert serious_of(browser) == []


def test_a_form_just_put_in_goes_the_pages_way_at_once(box, browse: Browse):
    """A thumb that comes down at that very moment must not leave the page."""
    browser = browse()
    open_tests(browser, box, "/setup")
    browser.run(
        """
        const button = () => document.querySelector('[data-site-test=bell] button');
        const pressed = ({detail}) => {
            if (!detail.pathInfo.requestPath.endsWith('go-bell=')) return;
            document.removeEventListener('htmx:afterRequest', pressed);
            button().click();
        };
        document.addEventListener('htmx:afterRequest', pressed);
        htmx.ajax('GET', '/setup/parts?go-bell=', {swap: 'none'});
        """
    )
    browser.wait(VERDICT.format("bell"), "running")
    assert browser.run("return location.pathname") == "/setup"


def test_the_code_is_told_to_the_center_alone_and_read_back(box, browse: Browse):
    browser = browse()
    open_tests(browser, box, "/setup")

    def says(code):
        browser.run("document.querySelector('#code-form input').value = arguments[0]", code)
        browser.click("#code-form button")

    def said(word):
        browser.wait("return document.querySelector(`[data-code-said='${arguments[0]}']`)", word)

    says("1234")
    said("code.none")
    browser.click("#code-send")
    said("code-sent")
    code = box.read_back.code
    assert len(code) == 4
    assert code not in browser.run("return document.documentElement.outerHTML")
    says(f"{(int(code) + 1) % 10_000:04}")
    said("code.wrong")
    says(code)
    said("code.right")
    assert box.read_back.code == ""
    outcomes = [one.outcome for one in box.entries() if one.op == "page.read_back"]
    assert outcomes == ["failed", "failed", "done"]


def test_a_code_ends_after_three_tries_or_a_quarter_of_an_hour(box):
    read_back = box.read_back
    read_back.begin()
    wrong = f"{(int(read_back.code) + 1) % 10_000:04}"
    assert [read_back.check(wrong).value for _ in range(4)] == ["wrong", "wrong", "wrong", "none"]
    read_back.begin()
    code = read_back.code
    box.clock.pass_s(901)
    assert read_back.check(code).value == "none"
