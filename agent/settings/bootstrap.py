"""The technician's file at a start: what is wrong in it is left out alone, and the box starts.

What the file had there when it was right last stands in: a mistyped word must not leave a camera
without its password. A file that can't be used at all is stood in for as a whole. Where nothing is
kept of a right one, at the first start, the technician is still there: the start is refused.
What is kept on another box's disk says nothing of this one: then the rest of the file counts, or
nothing, until somebody takes that disk over at the page. `poleside run`, and the commands that ask
where its data lies; told by the faults `settings.left_out` and `settings.file_unusable`.
"""

import tomllib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from agent.core.errors import SettingsError
from agent.settings import history
from agent.settings.changes import name_of
from agent.settings.check import look_over, written
from agent.settings.load import read_file, refuse_audio, validate
from agent.settings.model import BufferSettings, Settings

WHOLE_FILE: Final = written([])
_PLACE: Final = ("site", "box")


@dataclass(frozen=True, slots=True)
class Start:
    """The table to start with, and the paths of what in the file does not count."""

    table: dict[str, Any]
    left_out: tuple[str, ...] = ()


def read_to_start(
    path: Path,
    data_dir: str | None = None,
    *,
    foreign_mount: Callable[[Path, BufferSettings | None], str],
) -> Start:
    """Read the file; `data_dir` overrules the file's. Raises `SettingsError`: no start with it.

    `foreign_mount` tells where another box's disk is mounted with that folder on it, else "" (no
    settings: they can't be read).
    """
    try:
        table = read_file(path)
        trouble = _trouble(table)
    except SettingsError as error:
        if error.code != "settings.syntax":
            raise
        table, trouble = _data_dir_line(path), error
    if trouble is None:
        return Start(table)
    look, folder = look_over(table), _folder(data_dir or table.get("data_dir"))
    is_readable = trouble.code != "settings.syntax"
    good: dict[str, Any] | None
    if mount := foreign_mount(folder, _buffer_of(look.rest) if is_readable else None):
        good = {"data_dir": str(folder), "buffer": {"require_mount": mount}}
    else:
        good = _right_last(folder)
    if good is None or _is_of_another(look.rest, good):
        raise trouble
    filled = _filled(look.rest, good, look.gaps)
    if look.found and _trouble(filled) is None:
        return Start(filled, tuple(problem.path for problem in look.found))
    return Start(good, (WHOLE_FILE,))


def _trouble(table: dict[str, Any]) -> SettingsError | None:
    try:
        refuse_audio(table)
        validate(table)
    except SettingsError as error:
        return error
    return None


def _folder(data_dir: Any) -> Path:
    return Path(data_dir if isinstance(data_dir, str) else Settings().data_dir)


def _buffer_of(rest: dict[str, Any]) -> BufferSettings | None:
    with suppress(msgspec.ValidationError):
        return msgspec.convert(rest.get("buffer", {}), BufferSettings)
    return None


def _right_last(folder: Path) -> dict[str, Any] | None:
    """Return the file as it was when it was right last; None where nothing is kept."""
    with suppress(SettingsError):
        number = history.last_good(folder)
        newest_first = reversed(history.versions(folder))
        for version in sorted(newest_first, key=lambda one: one.number != number):
            if _trouble(version.table) is None:
                return version.table
    return None


def _data_dir_line(path: Path) -> dict[str, Any]:
    """Return the one line that tells `data_dir` of a file that is no TOML as a whole."""
    for line in path.read_text("utf-8", "replace").splitlines():
        if line.startswith("data_dir"):
            with suppress(tomllib.TOMLDecodeError):
                return tomllib.loads(line)
    return {}


def _is_of_another(table: dict[str, Any], good: dict[str, Any]) -> bool:
    """Say whether what is kept on this disk is another box's: it says nothing of this one."""
    return any(key in table and key in good and table[key] != good[key] for key in _PLACE)


def _filled(rest: Any, good: Any, gaps: set[int]) -> Any:
    """Fill the `gaps` of what is left of the file from the one that was right last."""
    if isinstance(rest, dict) and isinstance(good, dict):
        kept = {key: _filled(value, good.get(key), gaps) for key, value in rest.items()}
        return good | kept if id(rest) in gaps else kept
    if isinstance(rest, list) and isinstance(good, list):
        before = {name: item for item in good if (name := name_of(item))}
        items = [_filled(item, before.pop(name_of(item), None), gaps) for item in rest]
        return items + list(before.values()) if id(rest) in gaps else items
    return rest
