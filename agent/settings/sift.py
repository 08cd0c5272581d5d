"""What of the layers over the technician's file fits: a bad key is left out alone, and told.

A layer is kept as it was written, its nulls too: each removes what lies below it (RFC 7396).

The same at a start, when what was stored no longer fits this version or this file, and when a
change arrives. What is stored keeps what is left out: it counts again once it fits.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from agent.core.errors import SettingsError
from agent.settings.load import NOT_DESIRABLE, Layers
from agent.settings.model import Settings

_AT: Final = re.compile(r"at `\$(?P<path>[^`]*)`")
_UNKNOWN: Final = re.compile(r"unknown field `(?P<name>[^`]+)`")
_STEP: Final = re.compile(r"\.(?P<key>[^.\[\]]+)|\[(?P<index>\d+)\]")
_TOPMOST_FIRST: Final = ("desired", "local")

_NOTHING: Final = object()  # a null is something: it removes what lies below it

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One key that was left out; `path` as in `$.cameras[gate].detect_fps`, `$` for a layer.

    `is_local`: it was set at the page; else the center wants it.
    """

    path: str
    error: SettingsError
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class Sifted:
    """What fits of the layers, and the whole settings with it."""

    layers: Layers
    settings: Settings
    left_out: tuple[LeftOut, ...]


def sift(table: dict[str, Any], layers: Layers) -> Sifted:
    """Lay the layers over the valid `table`, leaving out one bad key after another.

    Raises `SettingsError` when `table` alone is not valid.
    """
    left_out = [_not_remote(key) for key in layers.desired if key in NOT_DESIRABLE]
    wanted = {key: value for key, value in layers.desired.items() if key not in NOT_DESIRABLE}
    kept = Layers(layers.local, wanted)
    while True:
        try:
            return Sifted(kept, kept.over(table), tuple(left_out))
        except SettingsError as error:
            if not (kept.local or kept.desired):
                raise
            layer, path = _culprit(table, kept, _path_of(error, kept.merged(table)))
            kept = _without(kept, layer, path)
            left_out.append(LeftOut(_written(path), error, is_local=layer == "local"))


def _not_remote(key: str) -> LeftOut:
    error = SettingsError(
        "settings.not_remote",
        f"`{key}` can't be changed by the center.",
        hint="Change it in the settings file at the box.",
    )
    return LeftOut(f"$.{key}", error)


def _path_of(error: SettingsError, merged: dict[str, Any]) -> Path:
    """Return the path an error names, with a camera's id in place of its number."""
    at = _AT.search(error.message)
    steps: list[str | int] = [
        found["key"] if found["key"] is not None else int(found["index"])
        for found in _STEP.finditer(at["path"] if at else "")
    ]
    if unknown := _UNKNOWN.search(error.message):
        steps.append(unknown["name"])
    if len(steps) > 1 and steps[0] == "cameras" and isinstance(steps[1], int):
        camera = merged["cameras"][steps[1]]
        steps[1] = str(camera.get("camera_id", "")) if isinstance(camera, dict) else ""
    return tuple(steps)


def _culprit(table: dict[str, Any], kept: Layers, path: Path) -> tuple[str, Path]:
    """Return the layer and the deepest key in it that is wrong at `path`, or makes it wrong."""
    held = path
    while not (holders := [name for name in _TOPMOST_FIRST if _holds(kept, name, held)]):
        held = held[:-1]
    for layer in holders:
        if (narrow := _narrowed(table, kept, layer, held, path)) != held:
            return layer, narrow
    return holders[0], held


def _narrowed(table: dict[str, Any], kept: Layers, layer: str, held: Path, path: Path) -> Path:
    """Return the one key inside `held` without which the error at `path` is gone, else `held`."""
    for inner in _inside(getattr(kept, layer), held):
        without = _without(kept, layer, inner)
        if path and held == path and not _is_there(without.merged(table), held):
            continue  # it is nothing but this key: a camera, say, that is wrong as a whole
        try:
            without.over(table)
        except SettingsError as error:
            if _path_of(error, without.merged(table)) == path:
                continue
        return _narrowed(table, kept, layer, inner, path)
    return held


def _holds(kept: Layers, layer: str, path: Path) -> bool:
    node = getattr(kept, layer)
    return bool(node) if not path else _is_there(node, path)


def _is_there(node: Any, path: Path) -> bool:
    return any(True for _ in _at(node, path))


def _at(node: Any, path: Path) -> Iterator[Any]:
    """Yield what stands at `path`, a null too: more than once where a camera is named twice."""
    if not path:
        yield node
        return
    step, found = path[0], []
    if isinstance(node, dict):
        found = [node[step]] if step in node else []
    elif isinstance(node, list):
        found = [item for item in node if step and _id_of(item) == step]
    for item in found:
        yield from _at(item, path[1:])


def _inside(layer: dict[str, Any], path: Path) -> Iterator[Path]:
    """Yield the paths of what lies right below `path`, each once."""
    steps: dict[str, None] = {}
    for node in _at(layer, path):
        if isinstance(node, dict) and path != ("cameras",):
            steps |= dict.fromkeys(key for key in node if key != "camera_id")
        elif isinstance(node, list) and path == ("cameras",):
            steps |= dict.fromkeys(found for item in node if (found := _id_of(item)))
    yield from ((*path, step) for step in steps)


def _id_of(item: Any) -> str:
    found = item.get("camera_id") if isinstance(item, dict) else None
    return found if isinstance(found, str) else ""


def _without(kept: Layers, layer: str, path: Path) -> Layers:
    left = _cut(getattr(kept, layer), path)
    smaller = {} if left is _NOTHING else left
    return Layers(kept.local, smaller) if layer == "desired" else Layers(smaller, kept.desired)


def _cut(node: Any, path: Path) -> Any:
    """Return `node` without what stands at `path`; `_NOTHING` when nothing is left of it."""
    if not path:
        return _NOTHING
    if isinstance(node, list):
        items = [_cut(item, path[1:]) if _id_of(item) == path[0] else item for item in node]
        return [item for item in items if item is not _NOTHING] or _NOTHING
    if not isinstance(node, dict) or path[0] not in node:
        return node  # a camera named twice, and this is not where it says so
    cut = {key: _cut(value, path[1:]) if key == path[0] else value for key, value in node.items()}
    left = {key: value for key, value in cut.items() if value is not _NOTHING}
    return left if left.keys() - {"camera_id"} else _NOTHING


def _written(path: Path) -> str:
    if path[:1] == ("cameras",) and len(path) > 1:
        return f"$.cameras[{path[1]}]{_written(path[2:])[1:]}"
    return "".join(("$", *(f".{step}" for step in path)))
