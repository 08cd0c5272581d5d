"""Every route x role x camera of the box's page: no read or write across roles or cameras.

What is expected is written here once more, on purpose: a change of the table must be meant.
"""

import pytest

from agent.local.access.table import WAYS
from tests.browser.shown_box import EVENT_ID
from tests.claimed_box import claimed_box, cookie_of

EVERYBODY = {"nobody", "technician", "op-gate", "op-yard", "auditor"}
SIGNED_IN = EVERYBODY - {"nobody"}
MAY = {
    "page": SIGNED_IN,
    "parts": SIGNED_IN,
    "healthz": EVERYBODY,
    "metrics": SIGNED_IN,
    "state": SIGNED_IN,
    "live": SIGNED_IN - {"auditor"},
    "live_jpeg": SIGNED_IN - {"auditor"},
    "timeline": SIGNED_IN,
    "events": SIGNED_IN,
    "picture": SIGNED_IN - {"auditor"},
    "login_page": EVERYBODY,
    "login": EVERYBODY,
    "claim_page": EVERYBODY,
    "claim": EVERYBODY,
    "account": SIGNED_IN,
    "logout": SIGNED_IN,
    "people": {"technician"},
    "put_person": {"technician"},
    "remove_person": {"technician"},
    "audit": {"technician", "auditor"},
    "service": {"technician"},
    "make_bundle": {"technician"},
    "make_report": {"technician"},
    "send_report": {"technician"},
    "export_usb": {"technician"},
    "confirm_camera": {"technician"},
    "swap_camera": {"technician"},
    "take_place": {"technician"},
    "install_update": {"technician"},
    "cancel_update": {"technician"},
    "take_disk": {"technician"},
    "identify": {"technician"},
    "put_shell": {"technician"},
    "end_shell": {"technician"},
    "restart": {"technician"},
    "setup": {"technician"},
    "setup_parts": {"technician"},
    "find_cameras": {"technician"},
    "find_rtsp": {"technician"},
    "verify_camera": {"technician"},
    "accept_camera": {"technician"},
    "setup_camera": {"technician"},
    "rules": {"technician"},
    "put_rule": {"technician"},
    "remove_rule": {"technician"},
    "aim_page": {"technician"},
    "look_aim": {"technician"},
    "begin_aim": {"technician"},
    "end_aim": {"technician"},
    "masks": {"technician"},
    "put_mask": {"technician"},
    "remove_mask": {"technician"},
    "marks_page": {"technician"},
    "marks": {"technician"},
    "put_stand": {"technician"},
    "put_mark": {"technician"},
    "remove_mark": {"technician"},
    "turn": {"technician"},
    "tests": {"technician"},
    "begin_test": {"technician"},
    "end_test": {"technician"},
    "send_code": {"technician"},
    "check_code": {"technician"},
    "network_page": {"technician"},
    "network": {"technician"},
    "put_network": {"technician"},
    "confirm_network": {"technician"},
    "center": {"technician"},
    "put_center": {"technician"},
    "confirm": {"technician"},
}
SEES = {
    "technician": {"gate", "yard"},
    "auditor": {"gate", "yard"},
    "op-gate": {"gate"},
    "op-yard": {"yard"},
}
ASKED = [way for way in WAYS if way.name not in ("login", "claim", "logout")]
OF_CAMERAS = [way for way in WAYS if "{camera_id}" in way.path]
FORMS = {"put_person": {"name": "x", "role": "boss"}, "remove_person": {"name": "nobody-such"}}


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    with claimed_box(tmp_path_factory.mktemp("box")) as box:
        kim = cookie_of(box.take_over())
        box.add(kim, "op-gate", "operator", "gate")
        box.add(kim, "op-yard", "operator", "yard")
        box.add(kim, "auditor", "auditor")
        box.cookies = {name: cookie_of(box.sign_in(name)) for name in SIGNED_IN - {"technician"}}
        box.cookies |= {"technician": kim, "nobody": ""}
        yield box


def path_of(way, camera_id="gate", event_id=EVENT_ID):
    return way.path.format(camera_id=camera_id, event_id=event_id)


def ask(box, who, way, **objects):
    cookie, path = box.cookies[who], path_of(way, **objects)
    if way.method == "GET":
        return box.page.ask(path, Cookie=cookie)
    csrf = box.csrf(cookie) if who != "nobody" else ""
    return box.send(path, cookie, csrf=csrf, **FORMS.get(way.name, {}))


def was_turned_away(answer):
    to_login = answer.headers.get("location") == "/login"
    return answer.status in (401, 403) or (answer.status == 303 and to_login)


def test_every_route_is_expected_here():
    assert {way.name for way in WAYS} == MAY.keys()


@pytest.mark.parametrize("who", sorted(EVERYBODY))
@pytest.mark.parametrize(
    "way",
    [way for way in WAYS if way.name not in ("login", "claim", "logout")],
    ids=lambda w: w.name,
)
def test_a_route_answers_those_it_is_for_and_nobody_else(box, way, who):
    answer = ask(box, who, way)
    assert answer.status < 500, answer
    assert was_turned_away(answer) == (who not in MAY[way.name]), answer


@pytest.mark.parametrize("who", sorted(SEES))
@pytest.mark.parametrize("camera_id", ["gate", "yard"])
@pytest.mark.parametrize(
    "way", [way for way in WAYS if "{camera_id}" in way.path], ids=lambda w: w.name
)
def test_a_foreign_camera_is_no_camera_at_all(box, way, camera_id, who):
    if who not in MAY[way.name]:
        return
    answer = ask(box, who, way, camera_id=camera_id)
    none_such = ask(box, who, way, camera_id="none-such")
    is_foreign = camera_id not in SEES[who]
    has_nothing_yet = camera_id == "yard" and way.name in ("live", "live_jpeg")
    is_like_none = (answer.status, answer.body) == (none_such.status, none_such.body)
    assert is_like_none == (is_foreign or has_nothing_yet)


@pytest.mark.parametrize("who", sorted(SEES))
def test_what_lists_cameras_lists_ones_own(box, who):
    for path in ("/", "/parts?light=&cameras=", "/api/state", "/api/events", "/metrics"):
        body = box.page.ask(path, Cookie=box.cookies[who]).body
        if path not in ("/api/events", "/metrics"):
            assert (b'"yard"' in body) == ("yard" in SEES[who])
        if path == "/api/state":
            assert (b'"camera-gate"' in body) == ("gate" in SEES[who])
        assert (b'"gate"' in body) == ("gate" in SEES[who])


def test_the_parts_of_the_set_up_tell_nothing_of_a_foreign_camera(box):
    kim = box.cookies["technician"]
    box.add(kim, "tech-yard", "technician", "yard")
    lee = cookie_of(box.sign_in("tech-yard"))
    for test in ({"kind": "walk", "camera_id": "gate"}, {"kind": "bell", "camera_id": "none"}):
        box.send("/setup/tests/begin", kim, csrf=box.csrf(kim), **test)
    asked = "/setup/parts?known-gate=&test-walk-gate=&known-yard="
    all_seen, own = (box.page.ask(asked, Cookie=one).body for one in (kim, lee))
    assert [b'"known-gate"' in all_seen, b'"test-walk-gate"' in all_seen] == [True, True]
    assert [b'"known-gate"' in own, b'"test-walk-gate"' in own] == [False, False]
    assert b'"known-yard"' in own
    none = box.send("/setup/tests/begin", kim, csrf=box.csrf(kim), kind="bell", camera_id="none")
    assert none.status == 404


@pytest.mark.parametrize("who", sorted(SEES.keys() - {"auditor"}))
def test_a_foreign_events_picture_is_no_picture(box, who):
    status = box.page.ask(f"/api/events/{EVENT_ID}/picture.jpg", Cookie=box.cookies[who]).status
    assert status == (200 if "gate" in SEES[who] else 404)


def test_a_technician_of_one_camera_gives_nobody_another_and_takes_none(box):
    kim = box.cookies["technician"]
    box.add(kim, "tech-gate", "technician", "gate")
    lee = cookie_of(box.sign_in("tech-gate"))
    for name, cameras in (("tech-gate", ""), ("helper", "gate yard"), ("op-yard", "gate")):
        refused = box.add(lee, name, "technician", cameras)
        assert refused.status == 400, (name, cameras)
        assert b"not his to see" in refused.body
    removed = box.send("/people/remove", lee, csrf=box.csrf(lee), name="op-yard")
    assert removed.status == 400
    assert box.add(lee, "helper", "operator", "gate").status == 303
    assert box.page.ask("/api/state", Cookie=box.cookies["op-yard"]).status == 200
    assert box.send("/people/remove", lee, csrf=box.csrf(lee), name="helper").status == 303


def test_who_was_turned_away_by_his_role_is_in_the_chain(box):
    box.page.ask("/audit", Cookie=box.cookies["op-gate"])
    refused = [one for one in box.entries() if one.op == "page.refused"]
    assert ("page:op-gate", "access.role", "GET /audit") in {
        (one.actor, one.code, one.detail) for one in refused
    }


def test_the_first_look_at_each_camera_is_in_the_chain_once(box):
    cookie = cookie_of(box.sign_in("op-gate"))
    for _ in range(3):
        assert box.page.ask("/api/cameras/gate/live", Cookie=cookie).status == 200
    last_login = max(n for n, one in enumerate(box.entries()) if one.op == "page.login")
    views = [one for one in box.entries()[last_login:] if one.op == "page.view"]
    assert [(one.actor, one.detail) for one in views] == [("page:op-gate", "gate")]
