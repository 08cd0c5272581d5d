"""Makes files of a report's facts: an HTML page that needs nothing else, and a PDF for paper."""

import base64
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from agent.local.report.document import Row, Section, Words, sections
from agent.local.report.facts import ReportFacts
from agent.local.report.pdf_file import HEIGHT_PT, WIDTH_PT, PdfFile, jpeg_size
from agent.local.web.pages import WORDS_DIR
from agent.local.web.words import load_words

FOLDER: Final = Path(__file__).parent
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, WIDTH_PT - 48.0, HEIGHT_PT - 54.0, 60.0
_LABEL_WIDTH: Final = 150.0
_TEXT, _SMALL, _HEADING, _TITLE = 9.5, 8.0, 12.5, 19.0
_LEADING: Final = 1.45
_MARKS: Final = {"ok": "●", "bad": "■", "unknown": "○", "": ""}


def html_of(facts: ReportFacts, language: str) -> bytes:
    """Return the report as one HTML file with its pictures inside."""
    words = _words(language)
    page = Environment(
        loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, undefined=StrictUndefined
    ).get_template("report.html")
    return page.render(
        language=language,
        words=words,
        facts=facts,
        sections=list(sections(facts, words, language)),
        marks=_MARKS,
        data_url=lambda jpeg: f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}",
    ).encode()


def pdf_of(facts: ReportFacts, language: str) -> bytes:
    """Return the report as PDF, A4."""
    words = _words(language)
    paper = _Paper(f"{words['report.title']} {facts.site}/{facts.box}")
    for section in sections(facts, words, language):
        paper.section(section)
    paper.signatures((words["report.signed-technician"], words["report.signed-customer"]))
    return paper.content()


def _words(language: str) -> Words:
    return load_words(WORDS_DIR, FOLDER / "words")[language]


class _Paper:
    """Sets sections one below the other, from page to page."""

    def __init__(self, title: str) -> None:
        self._pdf, self._title = PdfFile(title), title
        self._y = _TOP
        self._line(title, _TITLE)
        self._pdf.rule(_LEFT, self._y, _RIGHT, grey=0.2)

    def section(self, section: Section) -> None:
        self._room(60.0 if section.picture is None else 260.0)
        self._y -= 12
        self._line(section.title, _HEADING)
        self._pdf.rule(_LEFT, self._y, _RIGHT)
        if section.picture is not None:
            self._picture(section.picture)
        if section.caption:
            self._line(section.caption, _SMALL, grey=0.4)
        for row in section.rows:
            self._row(row)

    def signatures(self, labels: tuple[str, ...]) -> None:
        """Draw a line for each who signs by hand."""
        self._room(90.0)
        self._y -= 56
        width = (_RIGHT - _LEFT) / len(labels)
        for number, label in enumerate(labels):
            x = _LEFT + number * width
            self._pdf.rule(x, self._y, x + width - 24, grey=0.2)
            self._pdf.text(x, self._y - 12, _SMALL, label, grey=0.4)

    def content(self) -> bytes:
        """Return the file."""
        return self._pdf.content()

    def _row(self, row: Row) -> None:
        label = self._wrapped(row.label, _LABEL_WIDTH - 8)
        at = _LEFT + (_LABEL_WIDTH if row.label else 14)
        value = self._wrapped(row.value, _RIGHT - at - 14)
        self._room(max(len(label), len(value)) * _TEXT * _LEADING)
        top = self._y
        for number in range(max(len(label), len(value))):
            self._y = top - (number + 1) * _TEXT * _LEADING
            if number < len(label):
                self._pdf.text(_LEFT, self._y, _TEXT, label[number], grey=0.4)
            if number < len(value):
                self._pdf.text(at, self._y, _TEXT, value[number])
        if row.mark:
            self._pdf.text(_RIGHT - 9, top - _TEXT * _LEADING, _TEXT, _MARKS[row.mark])

    def _picture(self, jpeg: bytes) -> None:
        width, height, _ = jpeg_size(jpeg)
        shown = min((_RIGHT - _LEFT) * 0.75, 190.0 * width / height)
        tall = shown * height / width
        self._y -= tall + 4
        self._pdf.picture(jpeg, _LEFT, self._y, shown, tall)

    def _line(self, text: str, size_pt: float, grey: float = 0.0) -> None:
        self._y -= size_pt * _LEADING
        self._pdf.text(_LEFT, self._y, size_pt, text, grey)
        self._y -= size_pt * 0.3

    def _room(self, needed: float) -> None:
        if self._y - needed >= _BOTTOM:
            return
        self._pdf.new_page()
        self._pdf.text(_LEFT, _BOTTOM - 30, _SMALL, f"{self._title} · {self._pdf.pages}", grey=0.4)
        self._y = _TOP

    def _wrapped(self, text: str, width: float) -> list[str]:
        """Break at spaces, and within a word that is wider than the column."""
        lines = [""]
        for word in text.split(" "):
            longer = f"{lines[-1]} {word}".strip()
            if self._pdf.width_pt(longer, _TEXT) <= width:
                lines[-1] = longer
                continue
            if lines[-1]:
                lines.append("")
            for char in word:
                if self._pdf.width_pt(lines[-1] + char, _TEXT) > width:
                    lines.append("")
                lines[-1] += char
        return lines
