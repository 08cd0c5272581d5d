"""Tables for a person at a terminal: columns in line, Korean counted as wide as it is shown."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import click

_WIDE = frozenset("WF")
_BETWEEN = "  "
COLOURS = {"green": "green", "yellow": "yellow", "red": "red"}


def width(text: str) -> int:
    """Return how many columns of a terminal `text` takes."""
    return sum(
        0
        if unicodedata.combining(char)
        else 2
        if unicodedata.east_asian_width(char) in _WIDE
        else 1
        for char in text
    )


def echo_table(head: Sequence[str], rows: Iterable[Sequence[object]], none: str = "none") -> None:
    """Print rows under their heads; `-` for what is not known. The last column may be long."""
    shown = [["-" if cell is None or cell == "" else str(cell) for cell in row] for row in rows]
    if not shown:
        click.echo(none)
        return
    widths = [max(width(row[at]) for row in [list(head), *shown]) for at in range(len(head))]
    click.secho(_line(head, widths), bold=True)
    for row in shown:
        click.echo(_line(row, widths))


def padded(text: str, columns: int) -> str:
    """Return `text` filled up to so many columns of a terminal."""
    return text + " " * (columns - width(text))


def padded_left(text: str, columns: int) -> str:
    """Return `text` at the right end of so many columns."""
    return " " * (columns - width(text)) + text


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    filled = [padded(cell, wide) for cell, wide in zip(cells, widths, strict=True)]
    return _BETWEEN.join(filled).rstrip()


def light_word(light: str, words: Mapping[str, str]) -> str:
    """Return a traffic light's word in its colour."""
    word = words[f"light.word.{light}"]
    return click.style(word + " " * (6 - width(word)), fg=COLOURS.get(light), bold=True)


def size_words(size_bytes: float | None) -> str | None:
    """Return bytes as a person reads them, decimal."""
    if size_bytes is None:
        return None
    for unit, each in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= each:
            return f"{size_bytes / each:.1f} {unit}"
    return f"{size_bytes:.0f} B"


def time_words(seconds: float | None, words: Mapping[str, str] | None = None) -> str | None:
    """Return a duration as a person reads it, with the units of `words`, else English."""
    if seconds is None:
        return None
    units = (("d", 86_400.0), ("h", 3600.0), ("min", 60.0))
    unit, each = next((one for one in units if seconds >= 2 * one[1]), ("s", 1.0))
    return f"{seconds / each:.0f}{words[f'unit.{unit}'] if words else f' {unit}'}"
