"""The page's door: only known host names, only expected methods, and strict headers on all answers.

A foreign site can make a browser resolve its own name to this box (DNS rebinding); the host check
refuses that. The content policy lets nothing run or load but our own files: no inline script.
"""

from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with "no-referrer" a form has no Origin
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """ASGI middleware around a whole page.

    `by_address`: it may also be called by the very address the connection came in at. That is no
    name, so nobody can make a browser resolve another one to it.
    """

    def __init__(
        self,
        app: ASGIApp,
        hosts: Iterable[str] = LOOPBACK_HOSTS,
        methods: Iterable[str] = ("GET", "HEAD"),
        *,
        by_address: bool = False,
    ) -> None:
        self._app, self._hosts, self._methods = app, frozenset(hosts), frozenset(methods)
        self._by_address = by_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # no web sockets here: the connection is simply closed

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        inner = self._refusal(scope) or self._app
        await inner(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        host = host_name(Headers(scope=scope).get("host", ""))
        if host not in self._hosts and not (self._by_address and host == _own_address(scope)):
            return PlainTextResponse("This page has another name.\n", 421)
        if scope["method"] not in self._methods:
            return PlainTextResponse("This page can't do that.\n", 405)
        return None


def _own_address(scope: Scope) -> str:
    address = (scope.get("server") or ("",))[0]
    return f"[{address}]" if ":" in address else address


def host_name(host: str) -> str:
    """Return a Host header's name without its port, lower case; IPv6 keeps its brackets."""
    name, colon, port = host.strip().lower().rpartition(":")
    return name if colon and port.isdecimal() else host.strip().lower()
