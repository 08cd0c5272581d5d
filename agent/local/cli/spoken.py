"""The words of commands that speak Korean, too: those of the page, and the terminal's own."""

import os
from collections.abc import Mapping
from pathlib import Path

import click


def _lang_here() -> str:
    """Return the terminal's language: of the environment's words the first that is set counts."""
    told = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return "ko" if next(filter(None, told), "").startswith("ko") else "en"


WORDS_DIR = Path(__file__).parent / "words"
lang_option = click.option(
    "--lang",
    type=click.Choice(["en", "ko"]),
    default=_lang_here,
    show_default="the terminal's",
    envvar="POLESIDE_LANG",
    help="Also from POLESIDE_LANG.",
)


def words_of(lang: str) -> Mapping[str, str]:
    """Return what to say in a language."""
    from agent.local.web.pages import WORDS_DIR as PAGE_WORDS_DIR
    from agent.local.web.words import load_words

    return load_words(PAGE_WORDS_DIR, WORDS_DIR)[lang]


def said_in(lang: str, text: str, code: str = "") -> str:
    """Return a sentence of the box's own in a language; what is not known is marked as it came."""
    if lang == "en" or not text:
        return text
    from agent.local.cli.sentences import in_korean

    return in_korean(text, code)
