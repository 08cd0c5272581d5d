"""What of a desired document fits: a bad key is left out alone, and told with its path."""

import re
from dataclasses import dataclass
from typing import Any

from agent.core.errors import SettingsError
from agent.settings.load import NOT_DESIRABLE, merge_patch, with_desired
from agent.settings.model import Settings

_AT = re.compile(r"at `\$(?P<path>[^`]*)`")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]+)`")
_STEP = re.compile(r"\.(?P<key>[^.\[\]]+)|\[(?P<index>\d+)\]")

Path = list[str | int]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One key that was left out; `path` as in `$.cameras[gate].detect_fps`."""

    path: str
    error: SettingsError


@dataclass(frozen=True, slots=True)
class Sifted:
    """What fits, and the whole settings with it."""

    desired: dict[str, Any]
    settings: Settings
    left_out: tuple[LeftOut, ...]


def sift(table: dict[str, Any], desired: dict[str, Any]) -> Sifted:
    """Lay `desired` over the valid `table`, leaving out one bad key after another."""
    left_out = [_not_remote(key) for key in desired if key in NOT_DESIRABLE]
    kept = merge_patch({}, {k: v for k, v in desired.items() if k not in NOT_DESIRABLE})
    while True:
        try:
            return Sifted(kept, with_desired(table, kept), tuple(left_out))
        except SettingsError as error:
            if not kept:
                raise
            kept, path = _without(kept, _path_of(error, merge_patch(table, kept)))
            left_out.append(LeftOut(path, error))


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
    steps: Path = [
        found["key"] if found["key"] is not None else int(found["index"])
        for found in _STEP.finditer(at["path"] if at else "")
    ]
    if unknown := _UNKNOWN.search(error.message):
        steps.append(unknown["name"])
    if len(steps) > 1 and steps[0] == "cameras" and isinstance(steps[1], int):
        steps[1] = str(merged["cameras"][steps[1]].get("camera_id", steps[1]))
    return steps


def _without(desired: dict[str, Any], path: Path) -> tuple[dict[str, Any], str]:
    """Return `desired` without the deepest key it has along `path`, and the path left out."""
    if not path or not isinstance(path[0], str) or path[0] not in desired:
        return {}, "$"
    key, inner = path[0], desired[path[0]]
    rest = {name: value for name, value in desired.items() if name != key}
    if key == "cameras" and isinstance(inner, list) and len(path) > 1:
        cameras, text = _without_of_camera(inner, path[1], path[2:])
        return (rest | {key: cameras} if cameras else rest), text
    if isinstance(inner, dict) and len(path) > 1:
        smaller, text = _without(inner, path[1:])
        return (rest | {key: smaller} if smaller else rest), f"$.{key}{text[1:]}"
    return rest, f"$.{key}"


def _without_of_camera(
    cameras: list[dict[str, Any]], camera_id: str | int, path: Path
) -> tuple[list[dict[str, Any]], str]:
    """Leave out a camera's key; the whole entry when it is the camera that is wrong."""
    text = f"$.cameras[{camera_id}]"
    left: list[dict[str, Any]] = []
    for camera in cameras:
        if camera.get("camera_id") != camera_id:
            left.append(camera)
        elif path and path[0] in camera and path[0] != "camera_id":
            smaller = {name: value for name, value in camera.items() if name != path[0]}
            left += [smaller] if len(smaller) > 1 else []
            text += f".{path[0]}"
    return ([], "$.cameras") if left == cameras else (left, text)
