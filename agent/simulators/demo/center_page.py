"""Orders given through the center's page, as a person's browser gives them."""

import http.client
import re
from dataclasses import dataclass
from typing import Any

import msgspec

TIMEOUT_S = 20.0
_TOKEN = re.compile(r'name="poleside-token" content="(?P<token>[^"]+)"')


@dataclass(slots=True)
class CenterPage:
    """The page at `host:port`; `order` blocks until the final reply, so call it in a thread."""

    host: str
    port: int
    token: str = ""

    def order(self, site: str, box: str, args: dict[str, object]) -> dict[str, Any] | None:
        """Give an order; return the page's line about it, None when the page did not answer."""
        try:
            if not self.token:
                self.token = self._read_token()
            body = msgspec.json.encode({"site": site, "box": box, "args": args})
            status, answer = self._request("POST", "/api/center/orders", body)
            if status != http.HTTPStatus.OK:
                self.token = ""  # the page was started anew and has another one
                return None
            line = msgspec.json.decode(answer)
        except (OSError, http.client.HTTPException, msgspec.DecodeError):
            return None
        return line if isinstance(line, dict) else None

    def _read_token(self) -> str:
        _, answer = self._request("GET", "/", b"")
        found = _TOKEN.search(answer.decode("utf-8", errors="replace"))
        return found["token"] if found else ""

    def _request(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        headers = {
            "Content-Type": "application/json",
            "Origin": f"http://{self.host}:{self.port}",
            "X-Poleside-Token": self.token,
        }
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
