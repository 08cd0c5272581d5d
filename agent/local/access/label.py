"""A box's label: its page's address with its secret behind a #, as QR codes to print or to show.

Made on a maker's machine before the boxes are, or drawn on the console of one that made its own.
"""

import io
import re
from collections.abc import Iterable
from html import escape
from typing import Final

import segno

from agent.core.errors import CommandError
from agent.local.access.claim import SECRET_CHARS

_LABEL: Final = re.compile(r"https://[^\s#]{1,200}/claim#([0-9A-Za-z-]{16,24})(?![0-9A-Za-z-])")
_SHEET: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Poleside labels</title>
<style>
body {{ font: 9pt/1.3 sans-serif; margin: 10mm; color: #000; background: #fff }}
main {{ display: grid; grid-template-columns: repeat(3, 60mm); gap: 6mm }}
section {{ border: 0.2mm dashed #888; padding: 3mm; break-inside: avoid; text-align: center }}
svg {{ width: 42mm; height: 42mm }}
b {{ display: block; font: bold 10pt monospace }}
</style>
<main>
{labels}
</main>
</html>
"""
_ONE: Final = """<section>{picture}<b>{secret}</b>Poleside {name}<br>
At the box, within 30 minutes of switching it on<br>
<span lang="ko">함체 앞에서, 전원을 켠 뒤 30분 안에</span></section>"""


def label_of(secret: str, address: str) -> str:
    """Return the text of a label. Raises `CommandError`: label.wrong."""
    return found_in(f"{address.rstrip('/')}/claim#{secret}")


def found_in(text: str) -> str:
    """Return the first label in `text`. Raises `CommandError`: label.wrong."""
    found = _LABEL.search(text)
    if found is None or len(found[1].replace("-", "")) != SECRET_CHARS:
        raise CommandError(
            "label.wrong",
            "There is no label in it.",
            hint="A label is https://ADDRESS:8470/claim#SECRET.",
        )
    return found[0]


def drawn(label: str) -> str:
    """Return its QR code in half blocks, for a dark terminal."""
    text = io.StringIO()
    segno.make(label, error="m", micro=False).terminal(text, compact=True, border=2)
    return text.getvalue()


def sheet(labels: Iterable[tuple[str, str]]) -> str:
    """Return a page to print, whole in itself: of each a name and the label."""
    parts = []
    for name, label in labels:
        picture = segno.make(label, error="q", micro=False).svg_inline(omitsize=True, border=4)
        secret = label.partition("#")[2]
        parts.append(_ONE.format(picture=picture, secret=escape(secret), name=escape(name)))
    return _SHEET.format(labels="\n".join(parts))
