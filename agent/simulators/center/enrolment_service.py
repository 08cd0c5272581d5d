"""The center's HTTPS service where boxes enrol and renew; a process of its own, beside the ingest.

`poleside center enrolment`. Mutual TLS where the box has a certificate already.
"""

import asyncio
import secrets
from collections import OrderedDict

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from agent.contract import enrolment as wire
from agent.contract.enrolment import Answer, Nonce, Standing
from agent.core.clock import Clock
from agent.simulators.center.enrolment import Registrar

_NONCE_S = 60.0
_NONCES_KEPT = 10_000
REVOKED_EVERY_S = 24 * 3600.0


class Nonces:
    """Hands out nonces, each good once, for a minute. They don't outlive a restart."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: OrderedDict[str, float] = OrderedDict()

    def new(self) -> str:
        nonce = secrets.token_urlsafe(18)
        self._until[nonce] = self._clock.monotonic_s() + _NONCE_S
        while len(self._until) > _NONCES_KEPT:
            self._until.popitem(last=False)
        return nonce

    def use(self, nonce: str) -> bool:
        """Say whether `nonce` was good; it is not any more."""
        return self._until.pop(nonce, 0.0) > self._clock.monotonic_s()


def create_app(registrar: Registrar, clock: Clock) -> Starlette:
    """Return the service; who serves it adds TLS."""
    routes = _Routes(registrar, Nonces(clock))
    return Starlette(
        routes=[
            Route(wire.NONCE_PATH, routes.nonce, methods=["POST"]),
            Route(wire.REQUEST_PATH, routes.request, methods=["POST"]),
            Route(wire.RENEW_PATH, routes.renew, methods=["POST"]),
        ]
    )


async def keep_revoked_fresh(registrar: Registrar, clock: Clock) -> None:
    """Write the list of the revoked daily: brokers refuse everybody with one that is too old."""
    while True:
        await clock.sleep_s(REVOKED_EVERY_S)
        await asyncio.to_thread(registrar.write_revoked)


class _Routes:
    def __init__(self, registrar: Registrar, nonces: Nonces) -> None:
        self._registrar, self._nonces = registrar, nonces

    async def nonce(self, _request: Request) -> Response:
        return _json(Nonce(nonce=self._nonces.new()))

    async def request(self, request: Request) -> Response:
        try:
            asked = msgspec.json.decode(await _body(request), type=wire.Request)
        except (msgspec.MsgspecError, ClientDisconnect):
            return _not_understood()
        if not self._nonces.use(asked.nonce):
            return _json(_OLD_NONCE, 409)
        who = request.client.host if request.client else ""
        return _answer(await asyncio.to_thread(self._registrar.take_request, asked, who))

    async def renew(self, request: Request) -> Response:
        try:
            asked = msgspec.json.decode(await _body(request), type=wire.Renewal)
        except (msgspec.MsgspecError, ClientDisconnect):
            return _not_understood()
        if not self._nonces.use(asked.nonce):
            return _json(_OLD_NONCE, 409)
        return _answer(await asyncio.to_thread(self._registrar.take_renewal, asked))


_OLD_NONCE = Answer(
    standing=Standing.REFUSED, code="enrol.old_nonce", message="The nonce is too old or was used."
)


async def _body(request: Request) -> bytes:
    """Return the body, or what of it is too much to be understood."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > wire.MAX_BYTES:
            return b""
    return body


def _answer(answer: Answer) -> Response:
    statuses = {"enrol.too_many": 429}
    return _json(answer, statuses.get(answer.code, 403) if answer.code else 200)


def _not_understood() -> Response:
    text = "The question can't be understood."
    return _json(Answer(standing=Standing.REFUSED, code="enrol.malformed", message=text), 400)


def _json(content: msgspec.Struct, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
