"""Every request passes here before its handler: session, role, and for orders where they come from.

Guard (host, method, headers) -> here -> handler. What a handler reads of the box it reads of
`request.state.box`, which shows only what the person may see.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from agent.local.access.desk import AccessDesk
from agent.local.access.narrowed import NarrowedView
from agent.local.access.people import VISITOR
from agent.local.access.table import WAYS, Way
from agent.local.web.pages import json_answer
from agent.local.web.view import BoxView

Handler = Callable[[Request], Awaitable[Response]]

COOKIE: Final = "poleside_session"
SECURE_COOKIE: Final = "__Host-poleside_session"  # RFC 6265bis 4.1.3.2: this very host, TLS only
CSRF_FIELD: Final = "csrf"
_MOST_BODY: Final = 8 * 1024


class Doors:
    """Makes the routes of the table. Without a `desk` the page is open to read, and only that."""

    def __init__(self, box: BoxView, desk: AccessDesk | None) -> None:
        self._box, self._desk = box, desk

    def routes(self, handlers: Any) -> list[Route]:
        """Return a route for each way that `handlers` has a method for."""
        return [
            Route(way.path, self._through(way, getattr(handlers, way.name)), methods=[way.method])
            for way in WAYS
            if hasattr(handlers, way.name)
        ]

    def _through(self, way: Way, handler: Handler) -> Handler:
        async def pass_through(request: Request) -> Response:
            session = self._desk and self._desk.sessions.find(token_of(request))
            person = session.person if session else VISITOR
            may_come = way.roles is None or (
                person.role in way.roles
                and bool(session or self._desk is None or self._desk.is_open)
            )
            if not may_come:
                return await self._turned_away(request, way, bool(session))
            state = request.state
            state.session, state.person, state.form = session, person, {}
            if way.method != "GET" and (refused := await self._order_refused(request, way)):
                return refused
            if session and self._desk:
                seen = partial(self._desk.viewed, session)
                state.box = NarrowedView(self._box, person, seen)
            else:
                state.box = NarrowedView(self._box, person)
            return await handler(request)

        return pass_through

    async def _turned_away(self, request: Request, way: Way, is_known: bool) -> Response:
        if not is_known:
            if request.headers.get("hx-request"):  # or the login would become a part of the page
                return Response(status_code=401, headers={"hx-redirect": "/login"})
            is_page = way.method == "GET" and not way.path.startswith(("/api/", "/metrics"))
            return RedirectResponse("/login", 303) if is_page else refusal("access.sign_in", 401)
        return await self._refuse(request, way, "access.role")

    async def _order_refused(self, request: Request, way: Way) -> Response | None:
        """Refuse an order that another site's page could have made this browser send."""
        origin = f"{request.url.scheme}://{request.headers.get('host', '')}"
        if request.headers.get("origin", "").lower() != origin.lower():
            return await self._refuse(request, way, "access.origin")
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _MOST_BODY:
                return refusal("access.too_long", 413)
        try:
            form = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=32))
        except ValueError:
            return refusal("access.form", 400)
        request.state.form = form
        session = request.state.session
        if way.roles is not None and not session.knows(form.get(CSRF_FIELD, "")):
            return await self._refuse(request, way, "access.csrf")
        return None

    async def _refuse(self, request: Request, way: Way, code: str) -> Response:
        if self._desk is not None:
            session = self._desk.sessions.find(token_of(request))
            by = session.person if session else VISITOR
            await self._desk.refused(by, code, f"{way.method} {way.path}")
        return refusal(code, 403)


def refusal(code: str, status: int) -> Response:
    """Return the answer to what may not be."""
    return json_answer({"error": code}, status)


def token_of(request: Request) -> str:
    """Return the session's token that the browser sent, or an empty string."""
    return request.cookies.get(_cookie(request), "")


def signed_in(request: Request, token: str) -> Response:
    """Return the answer that gives the browser its session."""
    response = RedirectResponse("/", 303)
    is_tls = request.url.scheme == "https"
    response.set_cookie(
        _cookie(request), token, httponly=True, samesite="strict", secure=is_tls, path="/"
    )
    return response


def signed_out(request: Request) -> Response:
    """Return the answer that takes the session away."""
    response = RedirectResponse("/login", 303)
    is_tls = request.url.scheme == "https"
    response.delete_cookie(_cookie(request), path="/", secure=is_tls, httponly=True)
    return response


def _cookie(request: Request) -> str:
    return SECURE_COOKIE if request.url.scheme == "https" else COOKIE
