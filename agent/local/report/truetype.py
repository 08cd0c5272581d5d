"""One TrueType font, as far as a PDF needs it: glyphs of characters, widths, a small subset.

Tables after the OpenType specification 1.9. Only fonts without composite glyphs and with a cmap of
format 4, as the one beside this file. Glyph ids stay in the subset; what is not used is empty.
"""

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_KEPT: Final[tuple[str, ...]] = ("cvt ", "fpgm", "head", "hhea", "hmtx", "maxp", "prep")
_MISSING: Final = "□"


class Face:
    """A font file. Figures are in thousandths of the type size."""

    def __init__(self, path: Path) -> None:
        self._data = path.read_bytes()
        count = struct.unpack_from(">H", self._data, 4)[0]
        self._tables: dict[str, bytes] = {}
        for at in range(12, 12 + 16 * count, 16):
            tag, _, offset, length = struct.unpack_from(">4sLLL", self._data, at)
            self._tables[tag.decode("ascii")] = self._data[offset : offset + length]
        head, hhea = self._tables["head"], self._tables["hhea"]
        self._per_em: int = struct.unpack_from(">H", head, 18)[0]
        self.box = tuple(self._scaled(each) for each in struct.unpack_from(">4h", head, 36))
        self.ascent, self.descent = (
            self._scaled(each) for each in struct.unpack_from(">2h", hhea, 4)
        )
        self._widths = struct.unpack_from(">H", hhea, 34)[0]
        self._glyphs = struct.unpack_from(">H", self._tables["maxp"], 4)[0]
        form = ">{}L" if struct.unpack_from(">h", head, 50)[0] else ">{}H"
        scale = 1 if form == ">{}L" else 2
        loca = struct.unpack_from(form.format(self._glyphs + 1), self._tables["loca"])
        self._at = [each * scale for each in loca]
        self._of = _characters(self._tables["cmap"])

    def glyph(self, char: str) -> int:
        """Return a character's glyph; an empty square's for what the font has not."""
        found = self._of.get(ord(char), 0)
        is_drawn = found and (char.isspace() or self._at[found] < self._at[found + 1])
        return found if is_drawn else self._of.get(ord(_MISSING), 0)

    def width(self, glyph: int) -> int:
        """Return how far a glyph moves on."""
        at = min(glyph, self._widths - 1) * 4
        return self._scaled(struct.unpack_from(">H", self._tables["hmtx"], at)[0])

    def subset(self, glyphs: Iterable[int]) -> bytes:
        """Return a font file with these glyphs' outlines alone."""
        used, outlines, places = {0, *glyphs}, bytearray(), [0]
        glyf = self._tables["glyf"]
        for glyph in range(self._glyphs):
            if glyph in used:
                outlines += glyf[self._at[glyph] : self._at[glyph + 1]]
                outlines += bytes(-len(outlines) % 4)
            places.append(len(outlines))
        tables = {tag: self._tables[tag] for tag in _KEPT if tag in self._tables}
        tables["head"] = tables["head"][:50] + struct.pack(">h", 1) + tables["head"][52:]
        tables["loca"] = struct.pack(f">{len(places)}L", *places)
        tables["glyf"] = bytes(outlines)
        return _file_of(tables)

    def _scaled(self, value: int) -> int:
        return round(value * 1000 / self._per_em)


def _characters(cmap: bytes) -> dict[int, int]:
    """Return character to glyph of the Unicode table (format 4)."""
    for number in range(struct.unpack_from(">H", cmap, 2)[0]):
        platform, encoding, at = struct.unpack_from(">HHL", cmap, 4 + 8 * number)
        if (platform, encoding) == (3, 1):
            return _format_4(cmap, at)
    raise ValueError("the font has no Unicode table")


def _format_4(cmap: bytes, at: int) -> dict[int, int]:
    segments = struct.unpack_from(">H", cmap, at + 6)[0] // 2
    form = f">{segments}H"
    ends = struct.unpack_from(form, cmap, at + 14)
    starts = struct.unpack_from(form, cmap, at + 16 + 2 * segments)
    deltas = struct.unpack_from(form, cmap, at + 16 + 4 * segments)
    offsets_at = at + 16 + 6 * segments
    offsets = struct.unpack_from(form, cmap, offsets_at)
    found: dict[int, int] = {}
    for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
        for code in range(start, min(end, 0xFFFE) + 1):
            if offsets[number]:
                place = offsets_at + 2 * number + offsets[number] + 2 * (code - start)
                glyph = struct.unpack_from(">H", cmap, place)[0]
                found[code] = (glyph + deltas[number]) & 0xFFFF if glyph else 0
            else:
                found[code] = (code + deltas[number]) & 0xFFFF
    return found


def _file_of(tables: dict[str, bytes]) -> bytes:
    """Put tables together, each with its checksum."""
    count = len(tables)
    power = count.bit_length() - 1
    head = struct.pack(">LHHHH", 0x00010000, count, 16 << power, power, 16 * count - (16 << power))
    places, body = b"", b""
    for tag in sorted(tables):
        content = tables[tag]
        padded = content + bytes(-len(content) % 4)
        total = sum(struct.unpack(f">{len(padded) // 4}L", padded)) & 0xFFFFFFFF
        offset = 12 + 16 * count + len(body)
        places += struct.pack(">4sLLL", tag.encode("ascii"), total, offset, len(content))
        body += padded
    return head + places + body
