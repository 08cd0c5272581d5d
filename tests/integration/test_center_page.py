"""The demo's page over plain HTTP: only our own page may order, and the pole's proxy is narrow."""

import asyncio
import contextlib
import json
import re

import pytest

from agent.contract.commands import Ping, Snapshot
from agent.core.db import Database
from agent.local.web.app import create_app as create_box_app
from agent.local.web.server import open_listener, serve
from agent.simulators.center import store
from agent.simulators.center.page.app import create_app
from agent.simulators.center.uploads import Uploads
from tests.browser.page_server import Served, served
from tests.browser.shown_box import ShownBox
from tests.browser.shown_center import ShownCenter

PING = {"site": "tb-001", "box": "bx-0417", "args": {"op": "ping"}}


@pytest.fixture(scope="module")
def the_center(tmp_path_factory):
    return ShownCenter(tmp_path_factory.mktemp("center"))


@pytest.fixture
def center(the_center):
    the_center.orders.clear()
    return the_center


@pytest.fixture(scope="module")
def page(the_center):
    with both_pages(the_center) as page:
        yield page


@contextlib.contextmanager
def both_pages(center):
    box = ShownBox()
    with (
        served(create_box_app(box, box.clock)) as pole,
        served(create_app(center, center.clock, pole.url)) as page,
    ):
        page.pole = pole
        yield page


def give(page, order, **changed):
    """Post an order as our own page does, with some headers changed (None: left out)."""
    token = re.search(r'poleside-token" content="([^"]+)"', page.ask("/").body.decode())[1]
    headers = {
        "Origin": page.url,
        "X_Poleside_Token": token,
        "Content_Type": "application/json",
        **changed,
    }
    body = order if isinstance(order, bytes) else json.dumps(order).encode()
    sent = {name: value for name, value in headers.items() if value is not None}
    return page.ask("/api/center/orders", "POST", body, **sent)


def test_our_own_page_may_order_and_gets_the_boxs_answer(page, center):
    answer = give(page, PING)
    entry = json.loads(answer.body)
    assert (answer.status, entry["state"], entry["op"]) == (200, "done", "ping")
    assert entry["first_ms"] <= entry["done_ms"]
    assert center.orders == [Ping()]
    state = json.loads(page.ask("/api/center/state").body)
    assert state["orders"][0]["command_id"] == entry["command_id"]


@pytest.mark.parametrize(
    "changed",
    [
        {"X_Poleside_Token": None},
        {"X_Poleside_Token": "guess"},
        {"X_Poleside_Token": "\u00e9"},
        {"Origin": None},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ],
    ids=str,
)
def test_a_foreign_page_can_not_order(page, center, changed):
    assert give(page, PING, **changed).status in (403, 421)
    assert center.orders == []


@pytest.mark.parametrize(
    "order",
    [
        b"",
        b"[]",
        b"\xff",
        {**PING, "args": {"op": "config", "patch": {}}},
        {**PING, "args": {"op": "reboot"}},
        {**PING, "args": {"op": "ptz.move", "camera_id": "gate", "pan": 7}},
        {**PING, "site": "../x"},
        {**PING, "more": 1},
    ],
    ids=str,
)
def test_an_order_that_is_none_is_refused(page, center, order):
    assert give(page, order).status == 400
    assert center.orders == []


def test_an_order_too_long_is_refused_unread(page, center):
    assert give(page, b" " * 5000).status == 403
    assert center.orders == []


def test_a_browser_never_says_where_a_box_sends_its_files(page, center):
    args = {"op": "snapshot", "camera_id": "gate", "upload_url": "http://evil.example/"}
    give(page, {**PING, "args": args})
    assert center.orders == [Snapshot(camera_id="gate")]


def test_a_clip_can_be_read_in_ranges(page):
    args = {
        "op": "clip",
        "camera_id": "gate",
        "upload_url": "",
        "start_at": "2026-01-01T00:00:00Z",
        "end_at": "2026-01-01T00:00:05Z",
    }
    entry = json.loads(give(page, {**PING, "args": args}).body)
    assert entry["file_type"] == "video/mp4"
    answer = page.ask(f"/api/center/files/{entry['command_id']}", Range="bytes=4-7")
    assert (answer.status, answer.body) == (206, b"ftyp")
    assert page.ask("/api/center/files/nothing").status == 404


def test_messages_of_one_incident_are_one_line_newest_first(page):
    incidents = json.loads(page.ask("/api/center/state").body)["incidents"]
    assert [(one["kind"], one["phase"], one["messages"]) for one in incidents] == [
        ("intrusion", "update", 2),
        ("camera-lost", "new", 1),
        ("intrusion", "new", 1),
    ]
    picture = page.ask(f"/api/center/incidents/{incidents[0]['id']}/picture.jpg")
    assert picture.body[:2] == b"\xff\xd8"


@pytest.mark.parametrize(
    "path",
    [
        "/pole/",
        "/pole/healthz",
        "/pole/static/base.css",
        "/pole/api/state/",
        "/pole/api/cameras/../state",
        "/pole/api/cameras/gate/live.jpg",
        "/pole//evil.example/api/state",
        "/pole/http://evil.example/api/state",
        "/pole/api/state%0d%0aX:1",
    ],
)
def test_the_proxy_reaches_only_what_the_page_needs(page, path):
    assert page.ask(path).status == 404


def test_the_proxy_passes_the_boxs_answers_on(page):
    assert json.loads(page.ask("/pole/api/state").body)["box_id"] == "bx-0417"
    assert json.loads(page.ask("/pole/api/events?n=1").body)["events"]
    assert page.ask("/pole/api/state", "POST", b"").status == 405


async def test_a_box_puts_its_files_through_the_same_door(center, tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        db = Database(tmp_path / "center.db", [store.PART])
        await db.start()
        stack.push_async_callback(db.stop)
        uploads = Uploads(center.clock, db, tmp_path, "http://x", lambda: None)
        path = uploads.address_for("01JD8Z3V7K5M2Q9W4R6T8Y0B1C", 30.0).removeprefix("http://x")
        app = create_app(center, center.clock, None, box_routes=uploads.routes())
        listener, stop = open_listener("127.0.0.1:0"), asyncio.Event()
        page = Served(listener.getsockname()[1], stop.set)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve(app, listener, stop))
            put = await asyncio.to_thread(page.ask, path, "PUT", b"film", Content_Type="video/mp4")
            again = await asyncio.to_thread(page.ask, path, "PUT", b"film")
            elsewhere = await asyncio.to_thread(page.ask, "/api/center/state", "PUT", b"")
            stop.set()
    assert [put.status, again.status, elsewhere.status] == [201, 403, 405]


def test_a_box_out_of_reach_is_a_bad_gateway(center):
    with both_pages(center) as page:
        page.pole.stop()
        assert page.ask("/pole/api/state").status == 502


def test_a_demo_without_a_box_still_has_its_center(center):
    with served(create_app(center, center.clock, None)) as page:
        assert page.ask("/").status == 200
        assert page.ask("/pole/api/state").status == 404
