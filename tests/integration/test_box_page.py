"""The page on the box over plain HTTP: who may ask, what is answered, no secret in it."""

import asyncio
import gzip
import hashlib
import json
import re
import socket
from pathlib import Path

import pytest

from agent.contract.commands import OPERATIONS, ReplyState
from agent.contract.events import EventKind, Phase, StreamName, TimeQuality
from agent.local.access.pages import ACCESS_DIR
from agent.local.service.pages import SERVICE_DIR
from agent.local.setup.pages import SETUP_DIR
from agent.local.web import server
from agent.local.web.app import create_app
from agent.local.web.pages import STATIC_DIR, TEMPLATE_DIR, WORDS_DIR
from agent.local.web.server import PageError, open_listener, serve
from agent.local.web.view import CameraState
from agent.messages.supervision import ProcessState
from tests.browser.page_server import served
from tests.browser.shown_box import EVENT_ID, ShownBox

CENTER_PAGE = Path(server.__file__).parents[2] / "simulators/center/page"
OTHER_PAGES = (ACCESS_DIR, SETUP_DIR, SERVICE_DIR)


@pytest.fixture(scope="module")
def box():
    return ShownBox()


@pytest.fixture(scope="module")
def page(box):
    with served(create_app(box, box.clock)) as page:
        yield page


@pytest.fixture
def frozen(box):
    box.freeze()
    yield
    box.is_frozen = False


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8470", "", "box.local"]
)
def test_only_its_own_names_are_answered(page, host):
    answer = page.ask("/api/state", Host=host)
    assert answer.status in (400, 421)
    assert b"bx-0417" not in answer.body


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8470", "127.0.0.1:1", "[::1]:8470"])
def test_loopback_names_are_answered(page, host):
    assert page.ask("/api/state", Host=host).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(page, method):
    assert page.ask("/api/state", method).status == 405


@pytest.mark.parametrize("path", ["/", "/api/state", "/static/base.css", "/nothing", "/healthz"])
def test_every_answer_carries_the_strict_policy(page, path):
    headers = page.ask(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


@pytest.mark.parametrize("path", ["/", "/api/state", "/parts?facts="])
def test_no_secret_reaches_the_page(page, path):
    body = page.ask(path).body
    assert b"hunter2" not in body
    assert b"center.example" in body


def test_picture_and_objects_come_in_one_answer_and_a_known_picture_only_once(page, frozen):
    live = json.loads(page.ask("/api/cameras/gate/live").body)
    assert live["jpeg"].startswith("/9j/")  # a JPEG in base64
    assert live["objects"][0]["label"] == "person"
    assert live["zones"][0]["rule_id"] == "fence"

    again = json.loads(page.ask(f"/api/cameras/gate/live?have={live['picture_id']}").body)
    assert again["jpeg"] is None
    assert again["age_s"] > live["age_s"]


def test_the_plain_picture_says_its_age(page):
    answer = page.ask("/api/cameras/gate/live.jpg")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.body[:2] == b"\xff\xd8"
    assert float(answer.headers["x-picture-age-s"]) >= 0


def test_no_picture_yet_is_no_error(page):
    answer = page.ask("/api/cameras/yard/live")
    assert (answer.status, answer.body) == (200, b"null")
    assert page.ask("/api/cameras/yard/live.jpg").status == 404


def test_neighbouring_segments_are_one_bar_and_gaps_keep_their_cause(page):
    timeline = json.loads(page.ask("/api/cameras/gate/timeline?last_s=600").body)
    assert len(timeline["segments"]) == 2
    assert timeline["gaps"][0]["cause"] == "timeout"


@pytest.mark.parametrize(
    "path",
    [
        "/api/cameras/nobody/timeline",
        "/api/cameras/%2e%2e/timeline",
        "/api/cameras/a%00b/timeline",
        "/api/events/nothing/picture.jpg",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/",
    ],
)
def test_what_is_not_there_is_not_found(page, path):
    assert page.ask(path).status == 404


def test_only_the_parts_that_changed_are_sent(page, frozen):
    first = page.ask("/parts?light=&where=&events=").body.decode()
    assert re.findall(r'<div id="([a-z-]+)" hx-swap-oob', first) == ["events"]
    parts = page.ask("/parts?light=&where=&nothing=").body.decode()
    assert re.findall(r'<div id="([a-z-]+)" hx-swap-oob', parts) == ["where", "light"]
    have = re.search(r'name="light" value="([0-9a-f]+)"', parts)[1]
    assert page.ask(f"/parts?light={have}").status == 204


def test_the_pages_files_are_sent_small_and_only_when_they_changed(page):
    plain, packed = (page.ask("/static/htmx.min.js", Accept_Encoding=how) for how in ("", "gzip"))
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < 20_000
    again = page.ask("/static/htmx.min.js", If_None_Match=packed.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    notice = (STATIC_DIR / "htmx.LICENSE.txt").read_text()
    assert hashlib.sha256(plain.body).hexdigest() in notice


@pytest.mark.parametrize("last_s", ["nan", "inf", "-5", "0", "x", "1e99", ""])
def test_a_silly_length_of_time_does_no_harm(page, last_s):
    assert page.ask(f"/api/cameras/gate/timeline?last_s={last_s}").status == 200


def test_events_and_their_pictures(page):
    events = json.loads(page.ask("/api/events?n=1").body)["events"]
    assert events[0]["event_id"] == EVENT_ID
    assert page.ask(f"/api/events/{EVENT_ID}/picture.jpg").body[:2] == b"\xff\xd8"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("ko-KR,ko;q=0.9,en;q=0.8", "ko"),
        ("en;q=0.5, ko;q=0.7", "ko"),
        ("de,fr;q=0.9", "en"),
        ("de,ko;q=0.1", "ko"),
        ("", "en"),
        (";;q=,ko;q=x", "en"),
    ],
)
def test_the_page_speaks_the_browsers_language(page, header, language):
    body = page.ask("/", Accept_Language=header).body.decode()
    assert f'<html lang="{language}">' in body


def test_a_language_chosen_by_the_button_is_kept(page):
    answer = page.ask("/?lang=ko", Accept_Language="en")
    assert '<html lang="ko">' in answer.body.decode()
    cookie = answer.headers["set-cookie"].split(";")[0]
    assert '<html lang="ko">' in page.ask("/", Cookie=cookie, Accept_Language="en").body.decode()
    assert '<html lang="en">' in page.ask("/?lang=xx", Accept_Language="en").body.decode()


@pytest.mark.parametrize(
    "folder",
    [WORDS_DIR, *(folder / "words" for folder in (*OTHER_PAGES, CENTER_PAGE))],
    ids=["box", "access", "setup", "service", "center"],
)
def test_both_catalogues_have_the_same_words_and_places_to_fill(folder):
    english, korean = (json.loads((folder / f"{name}.json").read_bytes()) for name in ("en", "ko"))
    assert english.keys() == korean.keys()
    for key, text in english.items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(
            re.findall(r"\{\w+\}", korean[key])
        ), key


@pytest.mark.parametrize(
    ("code", "word_folders"),
    [
        (
            [STATIC_DIR, TEMPLATE_DIR, *(folder / "templates" for folder in OTHER_PAGES)],
            [WORDS_DIR, *(folder / "words" for folder in OTHER_PAGES)],
        ),
        ([CENTER_PAGE / "static", CENTER_PAGE / "templates"], [WORDS_DIR, CENTER_PAGE / "words"]),
    ],
    ids=["box", "center"],
)
def test_every_word_the_page_says_is_in_the_catalogue(code, word_folders):
    known = {
        key for folder in word_folders for key in json.loads((folder / "ko.json").read_bytes())
    }
    text = "\n".join(file.read_text() for folder in code for file in folder.glob("*.*"))
    said = set(re.findall(r"""\b(?:say|fact|tile)\("([a-z0-9.-]+)\"""", text))
    said |= set(re.findall(r"""words\["([a-z0-9.-]+)"\]""", text))
    begun = tuple(key for key in said if key.endswith((".", "-")))  # say("kind." ~ one)
    assert said - known - set(begun) == set()
    assert not [key for key in begun if not any(one.startswith(key) for one in known)]


@pytest.mark.parametrize(
    ("prefix", "codes"),
    [
        ("camera", CameraState),
        ("process", ProcessState),
        ("tq", TimeQuality),
        ("stream", StreamName),
        ("kind", EventKind),
        ("phase", Phase),
        ("order", ReplyState),
        ("op", set(OPERATIONS) - {"config", "ptz.lease", "ptz.release", "replay", "upload.urls"}),
    ],
)
def test_every_code_the_box_may_say_has_words(prefix, codes):
    folders = (WORDS_DIR, CENTER_PAGE / "words")
    known = {key for folder in folders for key in json.loads((folder / "ko.json").read_bytes())}
    assert {f"{prefix}.{code}" for code in codes} - known == set()


async def test_an_address_in_use_is_an_error_that_says_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(PageError) as caught:
            await serve(create_app(ShownBox(), ShownBox().clock), listen, asyncio.Event())
    assert "page.listen" in caught.value.hint


async def test_serving_ends_when_told_and_frees_its_address():
    stop = asyncio.Event()
    listener = open_listener("127.0.0.1:0")
    listen = f"127.0.0.1:{listener.getsockname()[1]}"
    box = ShownBox()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(create_app(box, box.clock), listener, stop))
        stop.set()
    open_listener(listen).close()


def test_answers_do_not_wait_for_the_browsers_acknowledgement():
    with open_listener("127.0.0.1:0") as listener:
        assert listener.proto == socket.IPPROTO_TCP  # or asyncio leaves TCP_NODELAY unset
