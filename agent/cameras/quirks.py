"""What is known of makers, models and firmwares that differ from what they say: `quirks.toml`.

A technician's own rows, in the file of the same name in the data folder, come before ours.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from agent.core.log import get

FILE = "quirks.toml"
_TABLE = Path(__file__).with_name(FILE)


class Quirks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row; the file says what each field means. The default is a camera as it should be."""

    maker: str = ""
    model: str = ""
    firmware: str = ""
    pull_s: Annotated[float, Meta(ge=1, le=60)] = 10.0
    no_renew: bool = False
    push_first: bool = False
    why: str = ""


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    quirk: tuple[Quirks, ...]


@cache
def _rows() -> tuple[Quirks, ...]:
    return _read(_TABLE)


def _read(file: Path) -> tuple[Quirks, ...]:
    return msgspec.convert(tomllib.loads(file.read_text("utf-8")), _Table).quirk


def _own_rows(data_dir: Path | None) -> tuple[Quirks, ...]:
    file = None if data_dir is None else data_dir / FILE
    if file is None or not file.exists():
        return ()
    try:
        return _read(file)
    except (OSError, ValueError) as error:  # msgspec's and tomllib's errors are ValueErrors
        get("cameras.quirks").error("quirks not understood", file=str(file), reason=str(error))
        return ()


def quirks_of(maker: str, model: str, firmware: str, data_dir: Path | None = None) -> Quirks:
    """Return what is known of a camera."""
    said = (maker.lower(), model.lower(), firmware.lower())
    for row in (*_own_rows(data_dir), *_rows()):
        wanted = (row.maker, row.model, row.firmware)
        if all(s.startswith(w.lower()) for s, w in zip(said, wanted, strict=True)):
            return row
    return Quirks()
