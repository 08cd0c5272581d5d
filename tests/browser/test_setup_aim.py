"""Aim mode, masks and landmarks at phone size, with a finger."""

from collections.abc import Callable

import pytest

from agent.local.setup.aim_mode import AIM_S
from tests.browser.chromium import Browser
from tests.browser.finger import Finger, open_page, open_picture
from tests.browser.shown_box import ShownBox
from tests.browser.test_page_accessible import serious_of
from tests.browser.test_page_first_paint import looks_good
from tests.claimed_box import claimed_box, cookie_of
from tests.simulated_onvif import ShiftedClock

Browse = Callable[..., Browser]

CORNERS = "return document.querySelectorAll('.corner').length === arguments[0]"
SQUARE = ((0.2, 0.2), (0.6, 0.2), (0.6, 0.6), (0.2, 0.6))
TEXT_OF = "return document.querySelector(arguments[0])?.innerText ?? ''"


@pytest.fixture
def box(tmp_path):
    shown = ShownBox()
    shown.clock = ShiftedClock()
    with claimed_box(tmp_path, shown=shown) as box:
        yield box


def begin_aim(browser, box):
    open_page(browser, box, "/setup/cameras/gate/aim", "return document.querySelector('#begin')")
    browser.click("#begin button")
    browser.wait("return /^[0-9]/.test(document.querySelector('#focus').innerText)")
    browser.wait("return document.querySelector('.picture img')?.naturalWidth > 0")


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_camera_is_aimed_and_what_is_unknown_is_said(box, browse: Browse, tmp_path, language):
    browser = browse(language)
    begin_aim(browser, box)
    sharp = float(browser.run(TEXT_OF, "#focus"))
    box.cameras.sharp = 12  # out of focus
    browser.wait(
        "return parseFloat(document.querySelector('#focus').innerText) < arguments[0]", sharp
    )
    best = browser.run(TEXT_OF, "#best")
    assert f"{sharp:.0f}"[:2] in best
    unknown = "unknown" if language == "en" else "알 수 없음"
    assert unknown in browser.run(TEXT_OF, "#level")
    browser.wait("return document.querySelector('#detail').naturalWidth === 480")
    looks_good(browser, tmp_path / f"aim-{language}.png")
    assert serious_of(browser) == []
    (view,) = [one for one in box.entries() if one.op == "page.view" and "aim" in one.detail]
    assert view.actor == "page:kim"
    assert "installation" in view.detail
    browser.click("#end")
    browser.wait("return document.querySelector('[data-aim=aim-ended]')")
    assert browser.complaints() == []


def test_aim_mode_ends_by_itself_and_with_it_the_picture(box, browse: Browse):
    browser = browse()
    begin_aim(browser, box)
    box.shown.clock.shift_s = AIM_S + 1
    browser.wait("return document.querySelector('[data-aim=aim-over]')")
    assert not browser.run("return document.querySelector('.picture')")
    cookie = cookie_of(box.sign_in("kim"))
    assert box.page.ask("/setup/cameras/gate/aim/look", Cookie=cookie).status == 410


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_mask_is_drawn_into_the_camera_or_else_the_box(box, browse: Browse, tmp_path, language):
    browser = browse(language)
    finger = open_picture(browser, box, "/setup/cameras/gate")
    mask(browser, finger)
    browser.wait("return document.querySelector('[data-where=camera]')")
    assert len(box.cameras.own_masks) == 1
    box.cameras.has_masks = False
    mask(browser, finger)
    browser.wait("return document.querySelector('[data-where=box]')")
    browser.wait("return document.querySelector('[data-done=\"mask-saved.box\"]')")
    looks_good(browser, tmp_path / f"masks-{language}.png")
    assert serious_of(browser) == []
    (polygon,) = box.config.settings.camera("gate").masks
    assert all(
        abs(x - a) < 0.02 and abs(y - b) < 0.02
        for (x, y), (a, b) in zip(polygon, SQUARE, strict=True)
    )
    assert [change.retuned for change in box.changes_applied] == [("gate",)]  # recording goes on
    browser.click("[data-where=box] button")
    browser.wait("return !document.querySelector('[data-mask]')")
    assert box.config.settings.camera("gate").masks == ()


def mask(browser, finger):
    browser.run("document.querySelector('#kind').value = 'mask'")
    browser.click("#new")
    browser.run("document.querySelector('#picture').scrollIntoView()")
    finger.tap(*SQUARE)
    browser.wait(CORNERS, 4)
    browser.click("#save")
    browser.wait("return !document.querySelector('.corner')")


@pytest.mark.parametrize("language", ["en", "ko"])
def test_landmarks_teach_a_camera_where_it_looks(box, browse: Browse, tmp_path, language):
    browser = browse(language)
    open_page(
        browser, box, "/setup/cameras/gate/landmarks", "return document.querySelector('#stand')"
    )
    fill(browser, "stand", lat=37.5665, lon=126.978, height_m=46, above_ground_m=6)
    browser.wait(
        "return document.querySelector('#marking:not([hidden]) .picture img')?.naturalWidth > 0"
    )
    finger = Finger(browser)
    browser.run("document.querySelector('#picture').scrollIntoView()")
    finger.tap((0.7, 0.4))
    browser.wait("return document.querySelector('[data-turned=\"1\"]')")
    browser.click("[data-turn=left]")
    browser.wait("return document.querySelector('[data-turned=\"2\"]')")
    (camera_id, (x, y), who), moved = box.cameras.turns
    assert (camera_id, who) == ("gate", "kim")
    assert (round(x, 1), round(y, 1)) == (0.7, 0.4)
    assert moved[1] < 0
    metre = 1 / 111_195
    for n, (pan, north, east) in enumerate(((0, 30, 0), (90, 0, 40), (180, -25, 0), (-90, 0, -35))):
        box.cameras.at = (pan, -8.0 if n == 1 else -10.0)
        lon = 126.978 + east * metre / 0.7926
        fill(browser, "mark", name=f"<i>{n}</i>", lat=37.5665 + north * metre, lon=lon, height_m=40)
        browser.wait(
            "return document.querySelectorAll('[data-mark]').length === arguments[0]", n + 1
        )
    browser.wait("return parseFloat(document.querySelector('#fit').dataset.residual) < 3")
    assert browser.run("return document.querySelectorAll('[data-mark] i').length") == 0
    looks_good(browser, tmp_path / f"landmarks-{language}.png")
    assert serious_of(browser) == []
    assert len(box.config.settings.camera("gate").stand.landmarks) == 4
    browser.click("[data-mark='3'] button")
    browser.wait("return document.querySelectorAll('[data-mark]').length === 3")
    assert browser.complaints() == []


def fill(browser, form, **values):
    script = "document.getElementById(arguments[0]).elements[arguments[1]].value = arguments[2]"
    for name, value in values.items():
        browser.run(script, form, name, str(value))
    browser.click(f"#{form} button:last-child")


def test_what_does_not_fit_is_refused(box):
    cookie = cookie_of(box.take_over())
    base, csrf = "/setup/cameras/gate", box.csrf(cookie)

    def put(path, **fields):
        return box.send(f"{base}/{path}", cookie, csrf=csrf, **fields).status

    assert put("landmarks", lat="1", lon="2", height_m="3") == 409  # it stands nowhere yet
    for bad in (
        {},
        {"lat": "north"},
        {"lat": "95", "lon": "1", "height_m": "1", "above_ground_m": "1"},
    ):
        assert put("landmarks/stand", **bad) == 409
    for bad in ("", "[[0,0],[1,1]]", "[[0,0],[2,0],[1,1]]", "nonsense"):
        assert put("masks", points=bad) == 409
    for bad in ({"pan": "9"}, {"pan": "x"}, {"x": "nan", "y": "0"}):
        assert put("turn", **bad) == 409
    assert put("masks/remove") == 409
    assert put("landmarks/remove", number="7") == 409
    assert put("aim/begin", reason="because") == 409
    assert box.changes_applied == []
