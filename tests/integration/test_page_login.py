"""Coming in to the box's page: claim, login, guessing, other sites' orders, sessions, TLS."""

import concurrent.futures
import contextlib
import http.client
import re
import sqlite3
import ssl

import pytest

from agent.local.access.certificate import fingerprint, own_certificate
from agent.local.access.claim import CODE_S, PRESS_S, make_code, make_secret
from agent.local.access.pages import ACCESS_DIR
from agent.local.access.sessions import IDLE_S, LONGEST_S
from agent.local.web.app import create_app
from tests.browser.page_server import served
from tests.claimed_box import PASSWORD, claimed_box, cookie_of
from tests.fake_clock import FakeClock

WRONG = "not this one at all"


@pytest.fixture
def box(tmp_path):
    with claimed_box(tmp_path) as box:
        yield box


def is_in(box, cookie):
    return box.page.ask("/account", Cookie=cookie).status == 200


def test_a_box_nobody_claimed_lets_nobody_in_and_leads_to_its_claim(box):
    assert box.page.ask("/").headers["location"] == "/login"
    assert box.page.ask("/login").headers["location"] == "/claim"
    assert box.page.ask("/api/state").status == 401
    for name in ("", "admin", "root", "technician"):
        assert box.sign_in(name, "").status == 403


def test_no_form_puts_what_is_typed_into_an_address():
    """Not even before the page's script is there: a password would stay in the history."""
    texts = {path.name: path.read_text() for path in ACCESS_DIR.parent.rglob("*.html")}
    forms = [(name, form) for name in texts for form in re.findall("<form[^>]*>", texts[name])]
    assert len(forms) > 30
    assert [one for one in forms if 'method="post"' not in one[1]] == [
        ("audit.html", '<form class="panel fields" method="get" action="/audit">')  # a filter
    ]


def test_the_label_and_the_console_together_take_a_box_over(box):
    answer = box.take_over()
    assert (answer.status, answer.headers["location"]) == (303, "/")
    assert is_in(box, cookie_of(answer))
    assert box.sign_in("kim").status == 303
    assert box.told()[0] == ("page.claim", "page:kim", "done", "")


@pytest.mark.parametrize(
    "changed",
    [{"secret": "0000-0000-0000-0000"}, {"code": "000000x"}, {"code": ""}, {"secret": ""}],
    ids=str,
)
def test_one_half_alone_is_refused_and_told(box, changed):
    assert box.take_over(**changed).status == 403
    assert box.told() == [("page.claim", "page:?", "refused", "access.claim")]


def test_a_console_code_is_good_once_and_not_for_ever(box):
    secret, code = make_secret(box.folder), make_code(box.folder, box.clock)
    fields = {"secret": secret.lower().replace("-", " "), "name": "kim", "password": PASSWORD}
    assert box.send("/claim", code=code, **fields).status == 303
    assert box.send("/claim", code=code, **fields).status == 403
    late = make_code(box.folder, box.clock)
    box.clock.pass_s(CODE_S + 1)
    assert box.send("/claim", code=late, **fields).status == 403


def test_the_claim_button_stands_for_the_code_for_two_minutes(box):
    fields = {"secret": make_secret(box.folder), "name": "kim", "password": PASSWORD, "code": ""}
    box.claim.pressed()
    box.clock.pass_s(PRESS_S + 1)
    assert box.send("/claim", **fields).status == 403
    box.claim.pressed()
    assert box.send("/claim", **fields).status == 303
    assert box.send("/claim", **fields).status == 403  # one press, one claim


def test_two_boxes_have_two_secrets_and_neither_keeps_its_own(tmp_path):
    one, other = make_secret(tmp_path / "a"), make_secret(tmp_path / "b")
    assert one != other
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert one.replace("-", "").encode() not in kept
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.rglob("claim-secret"))


def test_a_weak_password_is_refused_and_takes_no_try_back(box):
    for _ in range(3):
        assert box.take_over(secret="0" * 16).status == 403
    assert box.take_over(password="short").status == 403
    assert box.take_over().status == 429


def test_guessing_waits_longer_each_time_even_for_the_right_password(box):
    box.take_over()
    for _ in range(3):
        assert box.sign_in("kim", WRONG).status == 403
    refused = box.sign_in("kim")
    assert refused.status == 429
    assert 0 < int(refused.headers["retry-after"]) <= 6
    box.clock.pass_s(6)
    assert box.sign_in("kim", WRONG).status == 403
    assert int(box.sign_in("kim").headers["retry-after"]) > 6
    box.clock.pass_s(11)
    assert box.sign_in("kim").status == 303
    assert box.sign_in("kim", WRONG).status == 403  # forgiven: it counts anew
    assert box.sign_in("kim").status == 303


def test_a_restart_does_not_take_the_wait_away(tmp_path):
    clock = FakeClock()
    with claimed_box(tmp_path, clock=clock) as box:
        box.take_over()
        for _ in range(3):
            box.sign_in("kim", WRONG)
        clock.pass_s(4)
    with claimed_box(tmp_path, clock=clock) as box:
        clock.pass_s(2)  # as long as the wait altogether; but it began anew
        assert box.sign_in("kim").status == 429
        clock.pass_s(4)
        assert box.sign_in("kim").status == 303


UNWRITABLE = "CREATE TRIGGER full BEFORE INSERT ON page_guesses BEGIN DELETE FROM nowhere; END"


@pytest.mark.parametrize("harm", ["DROP TABLE page_guesses", UNWRITABLE], ids=["gone", "full"])
def test_a_disk_that_takes_no_count_keeps_nobody_out_and_lets_nobody_guess(box, harm):
    box.take_over()
    with contextlib.closing(sqlite3.connect(box.folder / "box.db", timeout=20)) as disk:
        disk.execute(harm)
    assert box.sign_in("kim").status == 429
    box.clock.pass_s(6)
    assert box.sign_in("kim", WRONG).status == 403
    assert box.sign_in("kim").status == 429
    box.clock.pass_s(11)
    assert box.sign_in("kim").status == 303


def test_many_guesses_at_once_are_no_way_around(box):
    box.take_over()
    with concurrent.futures.ThreadPoolExecutor(8) as many:
        statuses = sorted(many.map(lambda _: box.sign_in("kim", WRONG).status, range(8)))
    assert statuses == [403] * 3 + [429] * 5


def test_a_name_that_is_not_there_answers_like_one_that_is(box):
    box.take_over()
    known, unknown = (box.sign_in(name, WRONG) for name in ("kim", "lee"))
    assert (known.status, known.body) == (unknown.status, unknown.body)
    for name in ("kim", "lee"):
        statuses = [box.sign_in(name, WRONG).status for _ in range(3)]
        assert statuses == [403, 403, 429]


def test_logins_and_refusals_are_in_the_chain_and_no_password_is(box):
    box.take_over()
    box.sign_in("kim", WRONG)
    box.sign_in(PASSWORD, WRONG)  # a password typed into the wrong field
    for _ in range(9):
        box.sign_in("kim", WRONG)
    told = box.told()
    assert ("page.login", "page:kim", "refused", "access.login") in told
    assert told.count(("page.refused", "page:kim", "refused", "access.wait")) == 1  # no flood
    kept = (box.folder / "box.db").read_bytes() + (box.folder / "box.db-wal").read_bytes()
    assert PASSWORD.encode() not in kept
    assert WRONG.encode() not in kept


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://127.0.0.1:1"])
def test_another_sites_order_is_refused(box, origin):
    cookie = cookie_of(box.take_over())
    csrf = box.csrf(cookie)
    body = f"csrf={csrf}&name=mallory&role=technician&password=evilevilevil".encode()
    assert box.page.ask("/people", "POST", body, Origin=origin, Cookie=cookie).status == 403
    assert box.page.ask("/login", "POST", b"name=kim", Origin=origin).status == 403
    assert b"mallory" not in box.page.ask("/people", Cookie=cookie).body
    assert ("page.refused", "page:kim", "refused", "access.origin") in box.told()


def test_an_order_without_the_sessions_own_token_is_refused(box):
    cookie = cookie_of(box.take_over())
    other = box.csrf(cookie_of(box.sign_in("kim")))
    for token in ("", "x", "한", other):
        fields = {"name": "mallory", "role": "technician", "password": PASSWORD}
        assert box.send("/people", cookie, csrf=token, **fields).status == 403
    assert b"mallory" not in box.page.ask("/people", Cookie=cookie).body


def test_an_order_too_long_is_not_read(box):
    assert box.send("/login", name="x" * 9000).status == 413


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(box):
    cookie = box.take_over().headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_a_session_ends_by_sign_out_by_idleness_and_at_last(box):
    cookie = cookie_of(box.take_over())
    assert box.send("/logout", cookie, csrf=box.csrf(cookie)).status == 303
    assert not is_in(box, cookie)

    idle = cookie_of(box.sign_in("kim"))
    box.clock.pass_s(IDLE_S + 1)
    assert not is_in(box, idle)

    busy = cookie_of(box.sign_in("kim"))
    for _ in range(int(LONGEST_S / IDLE_S * 2) - 1):
        box.clock.pass_s(IDLE_S / 2)
        assert is_in(box, busy)
    box.clock.pass_s(IDLE_S)
    assert not is_in(box, busy)


def test_who_is_removed_or_changed_is_out_at_once_and_one_technician_stays(box):
    kim = cookie_of(box.take_over())
    box.add(kim, "lee", "operator", "gate")
    lee = cookie_of(box.sign_in("lee"))
    box.add(kim, "lee", "auditor")
    assert not is_in(box, lee)
    lee = cookie_of(box.sign_in("lee"))
    assert box.send("/people/remove", kim, csrf=box.csrf(kim), name="lee").status == 303
    assert not is_in(box, lee)
    assert box.sign_in("lee").status == 403
    assert box.send("/people/remove", kim, csrf=box.csrf(kim), name="kim").status == 400
    assert box.add(kim, "kim", "operator").status == 400
    assert box.sign_in("kim").status == 303


def test_the_open_page_is_open_to_read_and_to_nothing_else(tmp_path):
    with claimed_box(tmp_path, is_open=True) as box:
        assert box.page.ask("/").status == 200
        assert box.page.ask("/api/cameras/gate/live.jpg").status == 200
        for path in ("/people", "/account", "/audit"):
            assert box.page.ask(path).headers["location"] == "/login"
        assert (
            box.send("/people", name="mallory", role="technician", password=PASSWORD).status == 401
        )


def test_over_tls_the_cookie_is_this_hosts_alone_and_other_addresses_are_not_answered(tmp_path):
    clock = FakeClock()
    tls = own_certificate(tmp_path, "bx-1", ("bx-1.local", "192.0.2.7"), clock)
    assert own_certificate(tmp_path, "bx-1", (), clock) == tls
    assert tls.key.stat().st_mode & 0o077 == 0
    trust = ssl.create_default_context(cafile=tls.certificate)
    trust.check_hostname = False
    with claimed_box(tmp_path, clock=clock) as plain:
        plain.take_over()
    with claimed_box_over_tls(tmp_path, clock, tls) as page:
        host = f"127.0.0.1:{page.port}"
        connection = http.client.HTTPSConnection(host, context=trust, timeout=20)
        connection.connect()
        shown = ssl.DER_cert_to_PEM_cert(connection.sock.getpeercert(binary_form=True))
        assert shown.strip() == tls.certificate.read_text().strip()
        assert re.fullmatch("([0-9A-F]{2}:){31}[0-9A-F]{2}", fingerprint(tls.certificate))
        headers = {"Origin": f"https://{host}", "Cookie": ""}
        connection.request("POST", "/login", f"name=kim&password={PASSWORD}", headers)
        answer = connection.getresponse()
        answer.read()
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-")
        assert "Secure" in cookie
        for named, status in (("192.0.2.7", 421), ("evil.example", 421), ("bx-1.local", 303)):
            connection.request("GET", "/", headers={"Host": named})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status
        connection.close()


def claimed_box_over_tls(folder, clock, tls):
    from tests.claimed_box import ClaimedBox

    box = ClaimedBox(folder, clock=clock)
    app = create_app(box.shown, clock, {"bx-1.local"}, box.desk, by_address=True)
    return served(app, around=box, tls=tls)
