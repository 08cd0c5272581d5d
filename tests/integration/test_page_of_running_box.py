"""A whole box reached from outside: its own certificate, the claim at its console, the chain."""

import http.client
import re
import ssl
import subprocess
import sys
import time
from urllib.parse import urlencode

import pytest

from tests.box_process import HOST, BoxProcess
from tests.browser.page_server import Answer
from tests.claimed_box import PASSWORD, cookie_of


class OutsideBox(BoxProcess):
    """Listens on every address, as a box in a cabinet does."""

    def __init__(self, folder):
        super().__init__(folder, {"broker": {"urls": [f"mqtt://{HOST}:1"]}})
        told = self.settings_file.read_text().replace(
            f'"{HOST}:{self.port}"', f'"0.0.0.0:{self.port}"'
        )
        self.settings_file.write_text(told)
        self.url = f"https://{HOST}:{self.port}"

    def ask(self, path, method="GET", cookie="", **fields) -> Answer:
        certificate = self.data_dir / "keys" / "page-cert.pem"
        trust = ssl.create_default_context(cafile=certificate)
        trust.check_hostname = False  # a person compares the fingerprint instead
        connection = http.client.HTTPSConnection(HOST, self.port, context=trust, timeout=20)
        headers = {"Origin": self.url, "Cookie": cookie}
        connection.request(method, path, urlencode(fields), headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return Answer(answer.status, dict(answer.getheaders()), body)

    def until_it_answers(self):
        deadline_s = time.monotonic() + 60
        while True:
            try:
                return self.ask("/healthz")
            except OSError:
                assert time.monotonic() < deadline_s, self.said()[-3000:]
                time.sleep(0.2)

    def at_console(self, *words):
        command = [sys.executable, "-m", "agent.local.cli.main", "claim", *words]
        return subprocess.run(
            [*command, "--config", str(self.settings_file)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )


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
