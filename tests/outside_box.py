"""A whole box that listens on every address, as one in a cabinet does: TLS, the claim, forms."""

import http.client
import json
import re
import ssl
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

from tests.box_process import HOST, BoxProcess
from tests.browser.page_server import Answer
from tests.claimed_box import PASSWORD, cookie_of

_WITHIN_S = 60
_CERTIFICATES = ("keys/page-cert.pem", "run/without-disk/keys/page-cert.pem")


class OutsideBox(BoxProcess):
    """`settings` over those of a box without a center."""

    def __init__(self, folder, settings=None, name="box", **environment):
        told = {"broker": {"urls": [f"mqtt://{HOST}:1"]}} | (settings or {})
        super().__init__(folder, told, name, **environment)
        self.data_dir = Path(told.get("data_dir", self.data_dir))
        text = self.settings_file.read_text().replace(
            f'"{HOST}:{self.port}"', f'"0.0.0.0:{self.port}"'
        )
        self.settings_file.write_text(text)
        self.url = f"https://{HOST}:{self.port}"

    def ask(self, path, method="GET", cookie="", **fields) -> Answer:
        found = [self.data_dir / name for name in _CERTIFICATES if (self.data_dir / name).exists()]
        newest = max(found, key=lambda file: file.stat().st_mtime, default=None)
        trust = ssl.create_default_context(cafile=newest)
        trust.check_hostname = False  # a person compares the fingerprint instead
        connection = http.client.HTTPSConnection(HOST, self.port, context=trust, timeout=20)
        headers = {"Origin": self.url, "Cookie": cookie}
        with closing(connection):
            connection.request(method, path, urlencode(fields), headers)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())

    def once(self, is_so, path="/healthz", cookie="", every_s=0.2) -> Answer:
        """Return the first answer of which `is_so`; a box that starts gives none at first."""
        deadline_s, answer = time.monotonic() + _WITHIN_S, None
        while True:
            try:
                if is_so(answer := self.ask(path, cookie=cookie)):
                    return answer
            except OSError:
                pass
            assert time.monotonic() < deadline_s, f"{answer}\n{self.said()[-3000:]}"
            time.sleep(every_s)

    def until_it_answers(self) -> Answer:
        return self.once(lambda _: True)

    def state_once(self, cookie, is_so) -> dict:
        """Return the page's first state of which `is_so`, as who signed in sees it."""
        answer = self.once(
            lambda told: told.status == 200 and is_so(json.loads(told.body)), "/api/state", cookie
        )
        return json.loads(answer.body)

    def claimed(self, secret="") -> str:
        """Claim it with a new secret, or that on its label; return who signed in."""
        self.until_it_answers()
        secret = secret or self.at_console("secret").stdout.strip()
        code = self.at_console("code").stdout.strip()
        told = {"secret": secret, "code": code, "name": "kim", "password": PASSWORD}
        answer = self.ask("/claim", "POST", **told)
        assert answer.status == 303, answer.body
        return cookie_of(answer)

    def press(self, path, cookie, **fields) -> Answer:
        """Send a form of the page."""
        account = self.ask("/account", cookie=cookie).body.decode()
        csrf = re.search(r'name="csrf" value="([^"]+)"', account)[1]
        return self.ask(path, "POST", cookie, csrf=csrf, **fields)

    def at_console(self, *words):
        command = [sys.executable, "-m", "agent.local.cli.main", "claim", *words]
        return subprocess.run(
            [*command, "--config", str(self.settings_file)],
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
