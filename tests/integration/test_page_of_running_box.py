"""A whole box reached from outside: its own certificate, the claim at its console, the chain."""

import re
import time

import pytest

from tests.claimed_box import PASSWORD, cookie_of
from tests.outside_box import OutsideBox


@pytest.fixture
def box(tmp_path):
    with OutsideBox(tmp_path) as box:
        yield box


def test_a_box_in_a_cabinet_is_claimed_at_its_console_and_asks_for_a_login(box):
    assert box.until_it_answers().status == 200
    assert box.ask("/api/state").status == 401
    assert box.ask("/").headers["location"] == "/login"

    secret = box.at_console("secret").stdout.strip()
    code = box.at_console("code")
    assert re.search("SHA-256: ([0-9A-F]{2}:){31}", code.stderr)
    fields = {"name": "kim", "password": PASSWORD}
    claimed = box.ask("/claim", "POST", secret=secret, code=code.stdout.strip(), **fields)
    assert claimed.status == 303, claimed.body
    cookie = cookie_of(claimed)
    assert cookie.startswith("__Host-")
    assert box.ask("/api/state", cookie=cookie).status == 200

    deadline_s = time.monotonic() + 30
    done = {b"page.claim", b"claim.secret", b"claim.code"}
    while not done <= set(
        re.findall(rb"<b>([a-z.]+)</b>", (page := box.ask("/audit", cookie=cookie)).body)
    ):
        assert time.monotonic() < deadline_s, page
        time.sleep(0.2)
    said = box.said() + b"".join(
        path.read_bytes() for path in box.data_dir.rglob("*.db*") if path.is_file()
    ).decode("latin-1")
    for hidden in (secret, secret.replace("-", ""), PASSWORD):
        assert hidden not in said
