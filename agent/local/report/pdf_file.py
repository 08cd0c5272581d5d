"""A PDF with one embedded font, lines and JPEG pictures: as much of ISO 32000-1 as a report needs.

Written by hand because what writes it elsewhere is 55 MB on the disk of a box (fpdf2 2.8 with
Pillow and fontTools), and this is a page of code. Measures are points from the page's lower left.
"""

import hashlib
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agent.local.report.truetype import Face

WIDTH_PT, HEIGHT_PT = 595.0, 842.0  # A4
FONT: Final = Path(__file__).parent / "fonts" / "NanumSquareR.ttf"
_NAME: Final = "AAAAAA+NanumSquareR"  # 9.6.4: a subset's name begins with six letters
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # JPEG's SOF markers


@dataclass(slots=True)
class _Page:
    content: list[str] = field(default_factory=list)
    pictures: list[int] = field(default_factory=list)


class PdfFile:
    """Draw page by page, then `content()`."""

    def __init__(self, title: str) -> None:
        self._face = Face(FONT)
        self._title, self._pages = title, [_Page()]
        self._jpegs: list[bytes] = []
        self._used: dict[int, str] = {}

    def new_page(self) -> None:
        """Begin the next page."""
        self._pages.append(_Page())

    @property
    def pages(self) -> int:
        """How many pages there are so far."""
        return len(self._pages)

    def width_pt(self, text: str, size_pt: float) -> float:
        """Return how wide a text is."""
        return sum(self._face.width(self._face.glyph(char)) for char in text) * size_pt / 1000

    def text(self, x: float, y: float, size_pt: float, text: str, grey: float = 0.0) -> None:
        """Write one line; `grey` 0 is black."""
        codes = ""
        for char in text:
            glyph = self._face.glyph(char)
            self._used.setdefault(glyph, char)
            codes += f"{glyph:04X}"
        self._draw(f"{grey:.2f} g BT /F {size_pt:.1f} Tf {x:.1f} {y:.1f} Td <{codes}> Tj ET")

    def rule(self, x: float, y: float, to_x: float, grey: float = 0.7) -> None:
        """Draw a thin level line."""
        self._draw(f"{grey:.2f} G 0.6 w {x:.1f} {y:.1f} m {to_x:.1f} {y:.1f} l S")

    def picture(self, jpeg: bytes, x: float, y: float, width: float, height: float) -> None:
        """Show a JPEG; `x`, `y` are its lower left."""
        self._jpegs.append(jpeg)
        self._pages[-1].pictures.append(len(self._jpegs) - 1)
        number = len(self._jpegs) - 1
        self._draw(f"q {width:.1f} 0 0 {height:.1f} {x:.1f} {y:.1f} cm /P{number} Do Q")

    def content(self) -> bytes:
        """Return the file."""
        out = _Objects()
        catalog, pages, font = out.reserve(), out.reserve(), self._add_font(out)
        pictures = [out.add(*_jpeg_object(jpeg)) for jpeg in self._jpegs]
        kids = []
        for page in self._pages:
            content = out.add("", "\n".join(page.content).encode("ascii"), packed=True)
            shown = " ".join(f"/P{number} {pictures[number]} 0 R" for number in page.pictures)
            kids.append(
                out.add(
                    f"/Type /Page /Parent {pages} 0 R /MediaBox [0 0 {WIDTH_PT} {HEIGHT_PT}]"
                    f" /Contents {content} 0 R"
                    f" /Resources << /Font << /F {font} 0 R >> /XObject << {shown} >> >>"
                )
            )
        refs = " ".join(f"{kid} 0 R" for kid in kids)
        out.put(pages, f"/Type /Pages /Kids [{refs}] /Count {len(kids)}")
        out.put(catalog, f"/Type /Catalog /Pages {pages} 0 R")
        title = self._title.encode("utf-16-be").hex()
        info = out.add(f"/Title <FEFF{title}> /Producer (Poleside)")
        return out.file(catalog, info)

    def _draw(self, command: str) -> None:
        self._pages[-1].content.append(command)

    def _add_font(self, out: "_Objects") -> int:
        """Add the font with the glyphs that were used, and what to copy out as text (9.7, 9.10)."""
        face, used = self._face, sorted(self._used)
        program = face.subset(used)
        file = out.add(f"/Length1 {len(program)}", program, packed=True)
        box = " ".join(str(each) for each in face.box)
        descriptor = out.add(
            f"/Type /FontDescriptor /FontName /{_NAME} /Flags 4 /FontBBox [{box}] /ItalicAngle 0"
            f" /Ascent {face.ascent} /Descent {face.descent} /CapHeight {face.ascent} /StemV 80"
            f" /FontFile2 {file} 0 R"
        )
        widths = " ".join(f"{glyph} [{face.width(glyph)}]" for glyph in used)
        descendant = out.add(
            f"/Type /Font /Subtype /CIDFontType2 /BaseFont /{_NAME} /CIDToGIDMap /Identity"
            " /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"
            f" /FontDescriptor {descriptor} 0 R /W [{widths}]"
        )
        to_text = out.add("", _to_unicode(self._used), packed=True)
        return out.add(
            f"/Type /Font /Subtype /Type0 /BaseFont /{_NAME} /Encoding /Identity-H"
            f" /DescendantFonts [{descendant} 0 R] /ToUnicode {to_text} 0 R"
        )


class _Objects:
    """The file's numbered objects (7.3.10) and the table of where they are (7.5.4)."""

    def __init__(self) -> None:
        self._bodies: list[bytes] = []

    def reserve(self) -> int:
        self._bodies.append(b"")
        return len(self._bodies)

    def add(self, entries: str, stream: bytes | None = None, *, packed: bool = False) -> int:
        number = self.reserve()
        self.put(number, entries, zlib.compress(stream) if packed and stream else stream, packed)
        return number

    def put(
        self, number: int, entries: str, stream: bytes | None = None, packed: bool = False
    ) -> None:
        if stream is None:
            self._bodies[number - 1] = f"<< {entries} >>".encode("ascii")
            return
        how = " /Filter /FlateDecode" if packed else ""
        head = f"<< {entries}{how} /Length {len(stream)} >>\nstream\n".encode("ascii")
        self._bodies[number - 1] = head + stream + b"\nendstream"

    def file(self, catalog: int, info: int) -> bytes:
        out, places = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), []
        for number, body in enumerate(self._bodies, start=1):
            places.append(len(out))
            out += f"{number} 0 obj\n".encode("ascii") + body + b"\nendobj\n"
        table_at = len(out)
        rows = "".join(f"{place:010} 00000 n \n" for place in places)
        size, name = len(places) + 1, hashlib.sha256(out).hexdigest()[:32]
        out += f"xref\n0 {size}\n0000000000 65535 f \n{rows}".encode("ascii")
        out += (
            f"trailer\n<< /Size {size} /Root {catalog} 0 R /Info {info} 0 R"
            f" /ID [<{name}> <{name}>] >>\nstartxref\n{table_at}\n%%EOF\n"
        ).encode("ascii")
        return bytes(out)


def jpeg_size(jpeg: bytes) -> tuple[int, int, int]:
    """Return width, height and number of colours. Raises `ValueError` for what is no JPEG."""
    at = 2
    while at + 9 < len(jpeg) and jpeg[at] == 0xFF:
        marker, length = jpeg[at + 1], struct.unpack_from(">H", jpeg, at + 2)[0]
        if marker in _FRAMES:
            height, width, colours = struct.unpack_from(">HHB", jpeg, at + 5)
            return width, height, colours
        at += 2 + length
    raise ValueError("no JPEG")


def _jpeg_object(jpeg: bytes) -> tuple[str, bytes]:
    width, height, colours = jpeg_size(jpeg)
    space = "/DeviceGray" if colours == 1 else "/DeviceRGB"
    return (
        f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace {space}"
        " /BitsPerComponent 8 /Filter /DCTDecode",
        jpeg,
    )


def _to_unicode(used: dict[int, str]) -> bytes:
    rows = [f"<{glyph:04X}> <{char.encode('utf-16-be').hex()}>" for glyph, char in used.items()]
    blocks = [rows[at : at + 100] for at in range(0, len(rows), 100)]
    mapped = "".join(
        f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar\n" for block in blocks
    )
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
        "/CMapName /Poleside def /CMapType 2 def\n"
        "1 begincodespacerange <0000> <FFFF> endcodespacerange\n"
        f"{mapped}endcmap CMapName currentdict /CMap defineresource pop end end"
    ).encode("ascii")
