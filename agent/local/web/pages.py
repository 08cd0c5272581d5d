"""What both pages (the box's and the demo center's) are made of: a template, its words, JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from agent.core.redact import redact
from agent.local.web.speech import Speech
from agent.local.web.words import LANGUAGE_COOKIE, LANGUAGES, Words, language_of

WEB_DIR = Path(__file__).parent
STATIC_DIR = WEB_DIR / "static"
WORDS_DIR = WEB_DIR / "words"
TEMPLATE_DIR = WEB_DIR / "templates"

_Told = TypeVar("_Told", bound=msgspec.Struct)
_YEAR_S = 365 * 24 * 3600


class Pages:
    """Renders templates in the reader's language."""

    def __init__(self, words: Mapping[str, Words], *template_dirs: Path) -> None:
        self._words = words
        self._templates = Environment(
            loader=FileSystemLoader([*template_dirs, TEMPLATE_DIR]),
            autoescape=True,
            undefined=StrictUndefined,
        )
        # Korean as it is: escaped, each sign of the words that travel with a page has six bytes.
        self._templates.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": True}

    def macros(self, template: str, language: str, **values: Any) -> Any:
        """Return the macros of a template in one language: parts of a page, one by one."""
        told = self._spoken(language) | values
        return self._templates.get_template(template).make_module(told)

    def render(self, request: Request, template: str, **values: Any) -> HTMLResponse:
        """Return the page; a language chosen by the button is remembered in a cookie."""
        language = language_of(request)
        text = self._templates.get_template(template).render(
            **self._spoken(language),
            other_language=next(other for other in LANGUAGES if other != language),
            **values,
        )
        response = HTMLResponse(text, headers={"vary": "accept-language, cookie"})
        if request.query_params.get("lang") == language:
            response.set_cookie(
                LANGUAGE_COOKIE, language, max_age=_YEAR_S, samesite="strict", path="/"
            )
        return response

    def _spoken(self, language: str) -> dict[str, Any]:
        """Return what every template may say: the words, and the methods of `Speech`."""
        speech = Speech(language, self._words[language])
        ways = (name for name in dir(speech) if not name.startswith("_"))
        return {name: getattr(speech, name) for name in ways}


def json_answer(value: Any, status: int = 200) -> Response:
    """Return `value` (structs welcome) as JSON with secrets hidden once more, to be sure."""
    return plain_json(redact(msgspec.to_builtins(value)), status)


def without_secrets(told: _Told) -> _Told:
    """Return a struct as a page may show it: as `json_answer` does."""
    return msgspec.convert(redact(msgspec.to_builtins(told)), type(told))


def plain_json(value: Any, status: int = 200) -> Response:
    """Return `value` as JSON, bytes as base64: for what holds pictures and no texts of others."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def not_found() -> Response:
    """Return the one answer for "no such thing" and "nothing yet"."""
    return json_answer({"error": "not-found"}, 404)
