"""Parts of a page that change while somebody looks: htmx asks for them, and gets what is new.

A part is an element with an id, always there; what is in it carries a mark of itself in a hidden
field. htmx sends the marks of what it shows (`hx-include=".have"`), and the answer holds only the
parts that look otherwise now, each to be put in its place ("out of band"). So a part that says the
same is not touched: no screen reader says it again, no finger loses its button.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

_FIELD = Markup('<input type="hidden" class="have" name="{}" value="{}">')


@dataclass(frozen=True, slots=True)
class Part:
    """`built_of` is told where the body holds more than is to count."""

    name: str
    body: Markup
    built_of: str = ""

    @property
    def have(self) -> str:
        """Its mark."""
        return hashlib.sha256((self.built_of or self.body).encode()).hexdigest()[:12]

    @property
    def inside(self) -> Markup:
        """What the element holds."""
        return _FIELD.format(self.name, self.have) + self.body

    @property
    def out_of_band(self) -> Markup:
        """The same, to be put in its place on the page."""
        return out_of_band(self.name, self.inside)


def out_of_band(name: str, body: Markup) -> Markup:
    """Return what makes htmx put `body` into the element `name`, wherever it is."""
    return Markup('<div id="{}" hx-swap-oob="innerHTML">{}</div>').format(name, body)


def gone(name: str) -> Markup:
    """Return what makes htmx take the element `name` away."""
    return Markup('<div id="{}" hx-swap-oob="delete"></div>').format(name)


def is_by_page(request: Request) -> bool:
    """Say whether the page itself asks, and wants parts; a script wants JSON."""
    return request.headers.get("hx-request") == "true"


def shown(*answer: Markup | Part, status: int = 200) -> Response:
    """Answer an order of the page: markup for the place of its answers, and parts for theirs."""
    told = (one.out_of_band if isinstance(one, Part) else one for one in answer)
    return HTMLResponse(Markup("").join(told), status)


def changed(request: Request, parts: Iterable[Part], more: Iterable[Markup] = ()) -> Response:
    """Answer with `more`, and the parts asked for that the page has otherwise, or has not yet."""
    asked = request.query_params
    new = [part for part in parts if asked.get(part.name, part.have) != part.have]
    answer: list[Part | Markup] = [*new, *more]
    return shown(*answer) if answer else Response(status_code=204)
