"""The words of commands that speak Korean, too: those of the page, and the terminal's own."""

from collections.abc import Mapping
from pathlib import Path

import click

WORDS_DIR = Path(__file__).parent / "words"
lang_option = click.option(
    "--lang",
    type=click.Choice(["en", "ko"]),
    default="en",
    show_default=True,
    envvar="POLESIDE_LANG",
    help="Also from POLESIDE_LANG.",
)


def words_of(lang: str) -> Mapping[str, str]:
    """Return what to say in a language."""
    from agent.local.web.pages import WORDS_DIR as PAGE_WORDS_DIR
    from agent.local.web.words import load_words

    return load_words(PAGE_WORDS_DIR, WORDS_DIR)[lang]
