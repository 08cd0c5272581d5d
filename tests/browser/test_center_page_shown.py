"""The demo's page, in a real browser: it fits, orders reach the center, clips play."""

import time
from collections.abc import Callable, Iterator

import pytest

from agent.contract.commands import Clip, Ping
from agent.contract.events import EventKind
from agent.contract.telemetry import BoardSample, FaultSample, PowerSample, RailSample
from agent.local.web.app import create_app as create_box_app
from agent.simulators.center.page.app import create_app
from tests.browser.chromium import Browser
from tests.browser.conftest import colours_in
from tests.browser.page_server import Served, served
from tests.browser.shown_box import ShownBox
from tests.browser.shown_center import ShownCenter

Browse = Callable[..., Browser]

FOOTAGE = {"en": "Drawn for the test.", "ko": "시험용 그림입니다."}
BOTH_SHOWN = (
    "return document.querySelector('[data-camera=gate] img')?.naturalWidth > 0"
    " && document.querySelectorAll('#events .event').length === 3"
)


@pytest.fixture
def center(tmp_path) -> ShownCenter:
    return ShownCenter(tmp_path)


@pytest.fixture
def page(center: ShownCenter) -> Iterator[Served]:
    box = ShownBox()
    with (
        served(create_box_app(box, box.clock)) as pole,
        served(create_app(center, center.clock, pole.url, footage=FOOTAGE)) as page,
    ):
        page.pole = pole
        yield page


@pytest.mark.parametrize("size", [(360, 740), (390, 844), (1440, 900)], ids=str)
def test_both_halves_fit_the_screen_and_the_console_stays_clean(
    page, browse: Browse, size, tmp_path
):
    browser = browse()
    browser.size(*size)
    browser.go(page.url)
    browser.wait(BOTH_SHOWN)
    for side in ("pole", "center"):
        browser.run("document.querySelector(`[data-side=${arguments[0]}]`).click()", side)
        assert browser.run("return document.documentElement.scrollWidth") <= size[0]
        assert colours_in(browser.screenshot(tmp_path / f"{side}.png")) > 12
    assert "cameras and board are simulated" in browser.text()
    assert "Drawn for the test." in browser.text()
    assert browser.complaints() == []


def test_the_camera_moves_while_an_arrow_is_held_and_stops_on_letting_go(
    page, center, browse: Browse
):
    browser = browse()
    browser.size(1440, 900)
    browser.go(page.url)
    browser.wait(BOTH_SHOWN)

    browser.hold("[data-camera=gate] [data-move=left]", for_s=1.4)
    browser.wait("return [...document.querySelectorAll('#log b')].length === 1")  # the lease
    assert "Hold camera" in browser.run("return document.querySelector('#log').innerText")
    while center.steps[-1].pan:
        time.sleep(0.05)
    *moves, stop = center.steps
    assert len(moves) >= 2
    assert all(move.pan < 0 for move in moves)
    assert (stop.pan, stop.tilt, stop.zoom) == (0.0, 0.0, 0.0)
    assert center.orders == []
    assert "round trip" in browser.run("return document.querySelector('#log').innerText")


def test_settings_gaps_and_a_twin_are_shown(page, center, browse: Browse):
    browser = browse()
    browser.go(page.url)
    browser.wait(BOTH_SHOWN)
    tiles = browser.run("return document.querySelector('#tiles').textContent")
    assert "partly in effect" in tiles
    assert "$.buffer.colour" in tiles
    assert "last gap" in tiles
    center.has_twin = True
    browser.wait(
        "return document.querySelector('#tiles').textContent.includes('another box uses this id')"
    )


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "en",
            ["very hot: half the cameras detect", "on battery", "motion only", "bell: stuck"],
        ),
        ("ko", ["매우 뜨거움: 카메라 절반만 감지", "배터리 사용 중", "움직임만 감지", "고착"]),
    ],
)
def test_heat_supply_detector_and_bell_of_the_box_are_shown(
    page, center, browse: Browse, language, words
):
    center.board = BoardSample(
        temperature_c=79.0,
        heat_band="very-hot",
        on_battery=True,
        battery_pct=41,
        disk_life_used_pct=93,
        contacts={"bell": "stuck", "door": "active"},
        outputs={"siren": False},
    )
    center.engine = "motion-only"
    center.faults = (FaultSample(code="pole.bell_stuck", subject="contact/bell", severity="red"),)
    browser = browse()
    browser.go(f"{page.url}/?lang={language}")
    browser.wait("return document.querySelector('#tiles').textContent.includes('pole.bell_stuck')")
    tiles = browser.run("return document.querySelector('#tiles').textContent")
    for shown in (*words, "79 °C", "41 %", "93 %"):
        assert shown in tiles
    assert browser.complaints() == []


def test_the_gpus_load_what_holds_the_processor_back_and_the_count_of_faults_are_shown(
    page, center, browse: Browse
):
    center.board = BoardSample(
        undervoltage=False,
        throttled=False,
        gpu_load_pct=68.2,
        power=PowerSample(
            frequency_capped=True, rails={"VDD_IN": RailSample(amps=4.2, over_current=True)}
        ),
    )
    center.faults = (FaultSample(code="board.over_current", subject="board", severity="yellow"),)
    center.faults_untold = 11
    browser = browse()
    browser.go(f"{page.url}/?lang=en")
    browser.wait("return document.querySelector('#tiles').textContent.includes('and 11 more')")
    tiles = browser.run("return document.querySelector('#tiles').textContent")
    assert "too much current: VDD_IN" in tiles
    assert "GPU 68 % busy" in tiles
    assert browser.complaints() == []


def test_faults_told_by_events_are_counted_before_a_sample_names_them(page, center, browse: Browse):
    center.faults = (
        FaultSample(code="disk.worn", subject="disk", severity="yellow"),
        FaultSample(code="camera.unreachable", subject="camera/yard", severity="red"),
    )
    for camera in ("gate", "yard"):
        center.tell(EventKind.NOT_RECORDED, "storage.full", camera)
    center.tell(EventKind.BOX_FAULT, "disk.worn", "disk", is_over=True)
    browser = browse()
    browser.go(f"{page.url}/?lang=en")
    faults = "[...document.querySelectorAll('.tile')].find(one => one.innerText.includes('Faults'))"
    browser.wait(f"return {faults}?.innerText.includes('storage.full (gate)')")
    assert browser.run(f"return {faults}.querySelector('b').innerText") == "3"
    shown = browser.run(f"return {faults}.innerText")
    assert "storage.full (yard)" in shown
    assert "disk.worn" not in shown
    assert browser.complaints() == []


def test_the_code_for_the_technician_is_shown_while_there_is_one(page, center, browse: Browse):
    browser = browse()
    browser.go(f"{page.url}/?lang=en")
    browser.wait("return document.querySelector('#tiles').children.length")
    assert "Code for the technician" not in browser.text()
    center.read_back = "0417"
    browser.wait("return document.querySelector('#tiles').textContent.includes('0417')")


def test_no_pad_where_the_camera_cannot_move(page, browse: Browse):
    browser = browse()
    browser.go(page.url)
    browser.wait(BOTH_SHOWN)
    assert browser.run("return document.querySelectorAll('[data-camera=yard] .ptz').length") == 0


def test_the_clip_of_an_event_plays(page, center, browse: Browse):
    browser = browse()
    browser.size(1440, 900)
    browser.go(page.url)
    browser.wait(BOTH_SHOWN)
    browser.run("document.querySelector('#events .event button').click()")
    assert browser.wait("return document.querySelector('#viewer video')?.videoWidth") == 160
    clip = center.orders[0]
    assert isinstance(clip, Clip)
    assert clip.camera_id == "gate"
    assert browser.complaints() == []


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "the recording can't be read from the disk"),
        ("ko", "디스크에서 녹화 파일을 읽을 수 없습니다"),
    ],
)
def test_what_a_clip_lacks_is_said_beside_it_and_in_the_log(page, center, browse, language, words):
    center.holes = [
        {
            "from": "2026-11-22T12:00:04+00:00",
            "to": "2026-11-22T12:00:06+00:00",
            "cause": "unreadable",
        }
    ]
    browser = browse()
    browser.size(1440, 900)
    browser.go(f"{page.url}/?lang={language}")
    browser.wait(BOTH_SHOWN)
    browser.run("document.querySelector('#events .event button').click()")
    said = browser.wait("return document.querySelector('#viewer .hole')?.textContent")
    assert words in said
    assert browser.wait("return document.querySelector('#log .hole')?.textContent") == said
    more = browser.run("return [...document.querySelectorAll('#viewer .hole')].at(-1).textContent")
    assert "7" in more
    center.holes = []
    assert browser.complaints() == []


def test_a_ping_is_logged_and_a_failed_snapshot_says_what_to_do(page, center, browse: Browse):
    browser = browse()
    browser.size(1440, 900)
    browser.go(page.url)
    browser.wait(BOTH_SHOWN)
    browser.run("document.querySelector('[data-order=ping]').click()")
    browser.wait("return document.querySelector('#log .pill.good')")
    assert isinstance(center.orders[0], Ping)
    browser.run("document.querySelector('[data-order=snapshot]').click()")
    alert = browser.wait("return document.querySelector('#viewer [role=alert]')?.textContent")
    assert "The camera does not answer. Check its power." in alert


def test_a_pole_out_of_reach_is_said_while_the_center_goes_on(page, browse: Browse):
    browser = browse()
    browser.size(1440, 900)
    browser.go(page.url)
    browser.wait(BOTH_SHOWN)
    page.pole.stop()
    browser.wait("return document.querySelector('.pole .light.lost')")
    assert "Connection to the box lost" in browser.text()
    assert browser.run("return document.querySelectorAll('.center.lost').length") == 0


def test_it_speaks_korean(page, browse: Browse):
    browser = browse("ko")
    browser.size(1440, 900)
    browser.go(page.url)
    browser.wait(BOTH_SHOWN)
    text = browser.text()
    for words in ("폴대 현장", "관제센터", "침입", "시험용 그림입니다."):
        assert words in text
