"""The relay's RTSP server (RFC 2326): ANNOUNCE and RECORD from boxes, PLAY to everybody.

Over TCP only, one video track a stream. A publisher's password is its token (Basic, RFC 7617).
"""

import asyncio
import base64
import binascii
import secrets
import ssl
from collections.abc import Callable
from typing import cast

from agent.core.clock import Clock
from agent.simulators.camera.digest import Credentials, DigestGate
from agent.simulators.camera.rtsp_messages import (
    Request,
    Response,
    RtspSyntaxError,
    take_request,
)
from agent.simulators.relay.publication import Publication

_SERVER = "Poleside relay (a simulator)"


class Relay:
    """Serves until cancelled. `admits` says whether a token may publish under a name.

    With `digest_for`, a token, only who shows that by Digest may publish (RFC 2617).
    While `is_hanging` nothing is read: publishers' lines fill up as at a relay that is stuck.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        admits: Callable[[str, str], bool] = lambda _name, _token: True,
        tls: ssl.SSLContext | None = None,
        digest_for: str = "",
    ) -> None:
        self.clock, self._host, self.port, self._tls = clock, host, port, tls
        self.admits, self.digest_for = admits, digest_for
        self.publications: dict[str, Publication] = {}
        self.announced_total = self.refused_total = 0
        self.listening = asyncio.Event()
        self._connections: set[_Connection] = set()

    async def serve(self) -> None:
        server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self, self._connections), self._host, self.port, ssl=self._tls
        )
        self.port = server.sockets[0].getsockname()[1]
        self.listening.set()
        try:
            await asyncio.Future()
        finally:
            server.close()
            self.drop()

    def drop(self) -> None:
        """Cut all lines without a word."""
        for connection in tuple(self._connections):
            connection.transport.abort()

    def hang(self) -> None:
        """Read nothing more on the lines there are."""
        for connection in self._connections:
            connection.transport.pause_reading()


class _Connection(asyncio.Protocol):
    def __init__(self, relay: Relay, connections: set["_Connection"]) -> None:
        self._relay, self._connections = relay, connections
        self._buffer = bytearray()
        self._session_id = secrets.token_hex(8)
        self._published: Publication | None = None
        self._watched: Publication | None = None
        self._digest: DigestGate | None = None
        self._methods: dict[str, Callable[[Request], Response]] = {
            "OPTIONS": lambda _: Response(headers={"Public": ", ".join(self._methods)}),
            "ANNOUNCE": self._announce,
            "DESCRIBE": self._describe,
            "SETUP": self._set_up,
            "RECORD": self._record,
            "PLAY": self._play,
            "GET_PARAMETER": lambda _: Response(),
            "TEARDOWN": self._tear_down,
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._connections.discard(self)
        self._leave()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            while (request := take_request(self._buffer, self._frame)) is not None:
                method = self._methods.get(request.method)
                response = Response(501) if method is None else method(request)
                headers = {**response.headers, "Server": _SERVER, "Session": self._session_id}
                answer = Response(response.status, headers, response.body)
                self.transport.write(answer.encode(request.headers.get("cseq", "0")))
                if request.method == "PLAY" and self._watched is not None:
                    self._begin(self._watched)
        except RtspSyntaxError:
            self.transport.close()

    def _frame(self, frame: bytes) -> None:
        if self._published is not None:
            self._published.frame(frame)

    def _announce(self, request: Request) -> Response:
        name = request.stream_name
        if self._relay.digest_for:
            gate = self._digest or DigestGate(Credentials("grant", self._relay.digest_for))
            self._digest = gate
            if not gate.admits("ANNOUNCE", request.headers.get("authorization", "")):
                self._relay.refused_total += 1
                return Response(401, {"WWW-Authenticate": gate.challenge})
        elif not self._relay.admits(name, _token(request.headers.get("authorization", ""))):
            self._relay.refused_total += 1
            return Response(401, {"WWW-Authenticate": 'Basic realm="relay"'})
        self._leave()
        clock = self._relay.clock
        self._published = Publication(
            name, request.body, clock.monotonic_s, announced_mono_s=clock.monotonic_s()
        )
        self._relay.announced_total += 1
        self._relay.publications[name] = self._published
        return Response()

    def _describe(self, request: Request) -> Response:
        publication = self._relay.publications.get(request.stream_name)
        if publication is None or not publication.is_live:
            return Response(404)
        headers = {
            "Content-Base": request.uri.rstrip("/") + "/",
            "Content-Type": "application/sdp",
        }
        return Response(headers=headers, body=publication.sdp)

    def _set_up(self, request: Request) -> Response:
        if "RTP/AVP/TCP" not in request.headers.get("transport", ""):
            return Response(461)
        if self._published is None:
            self._watched = self._relay.publications.get(request.stream_name)
        return Response(headers={"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"})

    def _record(self, _: Request) -> Response:
        return Response(454) if self._published is None else Response()

    def _play(self, _: Request) -> Response:
        return Response(454) if self._watched is None else Response()

    def _begin(self, publication: Publication) -> None:
        for frame in publication.gop:
            self.transport.write(frame)
        publication.players.add(self.transport)

    def _tear_down(self, _: Request) -> Response:
        self._leave()
        return Response()

    def _leave(self) -> None:
        if self._published is not None:
            self._published.is_live = False
        if self._watched is not None:
            self._watched.players.discard(self.transport)
        self._published = self._watched = None


def _token(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
