"""What is known of makers, models and firmwares that differ from what they say: `quirks.toml`."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

_TABLE = Path(__file__).with_name("quirks.toml")


class Quirks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row; the file says what each field means. The default is a camera as it should be."""

    maker: str = ""
    model: str = ""
    firmware: str = ""
    pull_s: Annotated[float, Meta(ge=1, le=60)] = 10.0
    no_renew: bool = False


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    quirk: tuple[Quirks, ...]


@cache
def _rows() -> tuple[Quirks, ...]:
    return msgspec.convert(tomllib.loads(_TABLE.read_text("utf-8")), _Table).quirk


def quirks_of(maker: str, model: str, firmware: str) -> Quirks:
    """Return what is known of a camera."""
    said = (maker.lower(), model.lower(), firmware.lower())
    for row in _rows():
        wanted = (row.maker, row.model, row.firmware)
        if all(s.startswith(w.lower()) for s, w in zip(said, wanted, strict=True)):
            return row
    return Quirks()
