"""The page's words in Korean and English: one catalogue file a language, and which one to speak."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from starlette.requests import Request

LANGUAGES = ("en", "ko")
LANGUAGE_COOKIE = "poleside_lang"
LANGUAGE_HEADER = "poleside-language"  # of a page that is shown, for its parts

Words = Mapping[str, str]


def load_words(*folders: Path) -> dict[str, Words]:
    """Return the words of every language; a later folder adds to an earlier one."""
    return {
        language: {
            key: text
            for folder in folders
            for key, text in _read(folder / f"{language}.json").items()
        }
        for language in LANGUAGES
    }


def language_of(request: Request) -> str:
    """Return the language to speak: asked for by the button, kept in a cookie, or the browser's.

    A page that asks for parts of itself keeps its own, whatever another tab has chosen since.
    """
    wishes = (
        request.query_params.get("lang"),
        request.headers.get(LANGUAGE_HEADER),
        request.cookies.get(LANGUAGE_COOKIE),
    )
    for wish in wishes:
        if wish in LANGUAGES:
            return wish
    return _preferred(request.headers.get("accept-language", ""))


def _preferred(header: str) -> str:
    """Return the first of our languages in `Accept-Language` by weight (RFC 9110, 12.5.4)."""
    wishes: list[tuple[float, str]] = []
    for part in header.split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            wishes.append((float(weight or 1.0), tag.lower().split("-")[0]))
        except ValueError:
            continue
    wishes.sort(key=lambda wish: -wish[0])
    return next((tag for _, tag in wishes if tag in LANGUAGES), LANGUAGES[0])


def _read(path: Path) -> dict[str, str]:
    return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
