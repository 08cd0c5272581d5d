"""What the orders of the set-up pages are answered with: parts to the page, JSON to a script."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from agent.core.errors import PolesideError
from agent.local.setup.parts import macros_of
from agent.local.web.pages import Pages, plain_json
from agent.local.web.parts import Part, is_by_page, shown

# Makes the answer of the macros: what goes where the order's answers are read, and changed parts.
Told = Callable[[Any], Iterable[Markup | Part]]


def answer(pages: Pages, request: Request, told: Told, plain: Any = None) -> Response:
    """Answer an order that was carried out; `plain` is what a script gets."""
    if not is_by_page(request):
        return plain_json({} if plain is None else plain)
    return shown(*told(macros_of(pages, request)))


def refused(pages: Pages, request: Request, code: str, message: str = "") -> Response:
    """Answer an order that changed nothing, with the reason."""
    if not is_by_page(request):
        return plain_json({"error": code} | ({"message": message} if message else {}), 409)
    return shown(macros_of(pages, request).refused(code, message), status=409)


async def answered(change: Awaitable[None], pages: Pages, request: Request, told: Told) -> Response:
    """Return how a change went."""
    try:
        await change
    except PolesideError as error:
        return refused(pages, request, error.code, error.message)
    return answer(pages, request, told)
