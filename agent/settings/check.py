"""All that is wrong with a settings file at once: path, what is allowed there, an example.

The validation itself stops at the first error; here each found one is taken out and the rest is
looked at again, so what is told is what `validate` would tell, one after another.
"""

import copy
import difflib
import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec import Struct

from agent.core.errors import SettingsError
from agent.core.redact import HIDDEN, redact
from agent.settings import shape
from agent.settings.load import refuse_audio, validate

_AT: Final = re.compile(r" - at `\$(?P<path>[^`]*)`")
_STEP: Final = re.compile(r"\.(?P<key>[^.\[\]]+)|\[(?P<index>\d+)\]")
_PATH: Final = re.compile(r"`\$[^`]*`")
_NAMED: Final = re.compile(r"(?P<what>unknown|required) field `(?P<name>[^`]+)`")
_MOST: Final = 200
_LONGEST_PING_S: Final = 32  # so that a silent box is missed within a minute

Step = str | int


class Problem(Struct, frozen=True, kw_only=True):
    """One thing that is wrong. `allowed` and `example` are empty where no one value is meant."""

    path: str
    message: str
    allowed: str = ""
    example: str = ""
    code: str = "settings.invalid"


@dataclass(slots=True)
class Look:
    """What is wrong with a table (`found`), and the `rest` of it, in which that is taken out.

    `places` tells where the items of a list stood at first, `gaps` (by `id`) out of which tables
    and lists of the rest something was taken.
    """

    whole: dict[str, Any]
    rest: dict[str, Any]
    places: dict[int, list[int]] = field(default_factory=dict)
    has_dropped: bool = False
    found: list[Problem] = field(default_factory=list)
    gaps: set[int] = field(default_factory=set)

    def first_path(self, path: list[Step]) -> list[Step]:
        """Return `path` as it is in the file, whatever was taken out before it."""
        value: Any = self.rest
        told: list[Step] = []
        for step in path:
            if isinstance(step, int) and isinstance(value, list):
                told.append(self._places(value)[step])
            else:
                told.append(step)
            value = shape.inside(value, step)
        return told

    def take_out(self, path: list[Step]) -> bool:
        """Take out what is wrong: the key, or the whole item of a list. Say whether one could."""
        path = list(path)
        while path:
            holder: Any = self.rest
            for step in path[:-1]:
                holder = shape.inside(holder, step)
            last = path.pop()
            if isinstance(holder, dict) and last in holder:
                del holder[last]
                self.gaps.add(id(holder))
                return True
            is_table = isinstance(shape.inside(holder, last), dict)
            if is_table and isinstance(holder, list) and isinstance(last, int):
                del self._places(holder)[last]
                del holder[last]
                self.gaps.add(id(holder))
                self.has_dropped = True
                return True
        return False

    def _places(self, items: list[Any]) -> list[int]:
        return self.places.setdefault(id(items), list(range(len(items))))


def problems(table: dict[str, Any], examples: dict[str, Any] | None = None) -> list[Problem]:
    """Return everything wrong with a raw table; `examples` is a table to take examples from."""
    return look_over(table, examples).found


def look_over(table: dict[str, Any], examples: dict[str, Any] | None = None) -> Look:
    """Take out of a raw table what is wrong; the rest may lack something all the same."""
    look = Look(table, copy.deepcopy(table))
    found = look.found
    while len(found) < _MOST:
        try:
            refuse_audio(look.rest)
            validate(look.rest)
        except SettingsError as error:
            path = _path(error.message) or _one_value(look.rest, error)
            if look.has_dropped and not path:
                break  # it may only miss what was taken out
            problem = _problem(error, look.first_path(path), table, examples or {})
            if not _follows(problem, found):
                found.append(problem)
            named = _NAMED.search(error.message)
            is_unknown = named is not None and named["what"] == "unknown"
            if not look.take_out([*path, named["name"]] if named and is_unknown else path):
                break
        else:
            break
    return look


def warnings(table: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is allowed in a raw table but costs a promise: the path, and which one."""
    keepalive_s = shape.inside(shape.inside(table, "broker"), "keepalive_s")
    if isinstance(keepalive_s, int) and keepalive_s > _LONGEST_PING_S:
        text = f"over {_LONGEST_PING_S}, a box that fell silent is not missed within a minute"
        return [("broker.keepalive_s", text)]
    return []


def _problem(
    error: SettingsError, path: list[Step], table: dict[str, Any], examples: dict[str, Any]
) -> Problem:
    message = _AT.sub("", error.message).rstrip(".")
    if named := _NAMED.search(error.message):
        if named["what"] == "unknown":
            return _unknown(path, named["name"], table, examples)
        path = [*path, named["name"]]
    where = written(path)
    message = _PATH.sub(f"`{where}`", message)
    node = shape.at(path, table) if path else None
    if node is None or "properties" in node:
        return Problem(path=where, message=message, code=error.code)
    if error.code == "settings.address":
        return Problem(path=where, message=message, allowed=error.hint, code=error.code)
    return Problem(
        path=where,
        message=message,
        allowed=shape.allowed(node),
        example=_example(path, table, examples),
        code=error.code,
    )


def _follows(problem: Problem, found: list[Problem]) -> bool:
    """Say whether it is only there because something told before was taken out."""
    inner = [one.path for one in found if one.path.startswith(problem.path)]
    if problem.path in inner:
        return True
    names = {path.rpartition(".")[2].partition("[")[0] for path in inner}
    return any(f"`{name}`" in problem.message for name in names)


def _unknown(
    path: list[Step], name: str, table: dict[str, Any], examples: dict[str, Any]
) -> Problem:
    keys = shape.keys_at(path, table)
    near = difflib.get_close_matches(name, keys, 1)
    return Problem(
        path=written([*path, name]),
        message=f"there is no key `{name}`" + (f"; is `{near[0]}` meant?" if near else ""),
        allowed=f"one of {', '.join(keys)}",
        example=_example([*path, near[0]], table, examples) if near else "",
    )


def _example(path: list[Step], table: dict[str, Any], examples: dict[str, Any]) -> str:
    """Return `key = value` as it may stand in the file."""
    path = list(path)
    while isinstance(path[-1], int):  # a number in a list: show the whole list
        path.pop()
    node = shape.at(path, table) or {}
    value: Any = examples
    for step in path:
        value = shape.inside(value, 0 if isinstance(step, int) else step)
    if value is None:
        value = node.get("default")
    if value is None:
        value = _smallest(node)
    key = str(path[-1])
    shown = redact({key: value})[key]
    return f"{key} = {json.dumps('CHANGE-ME' if shown == HIDDEN else value, ensure_ascii=False)}"


def _smallest(node: shape.Node) -> Any:
    if "enum" in node:
        return node["enum"][0]
    if node.get("type") in ("number", "integer"):
        return node.get("minimum", node.get("exclusiveMinimum", 0) + 1)
    return {"boolean": True, "array": [], "object": {}}.get(node.get("type", ""), "name-1")


def _one_value(table: dict[str, Any], error: SettingsError) -> list[Step]:
    """Return the value at the top without which an error that names no place is gone."""
    is_named = _NAMED.search(error.message) is not None
    for key, value in table.items():
        if is_named or isinstance(value, dict | list):
            continue
        try:
            validate({name: each for name, each in table.items() if name != key})
        except SettingsError as other:
            if other.message == error.message:
                continue
        return [key]
    return []


def _path(message: str) -> list[Step]:
    at = _AT.search(message)
    if at is None:
        at = re.search(r"at `\$(?P<path>[^`]*)`", message)
    return [
        step["key"] if step["key"] is not None else int(step["index"])
        for step in _STEP.finditer(at["path"] if at else "")
        if step["key"] != "..."
    ]


def written(path: list[Step]) -> str:
    """Write a path as `cameras[0].rules[1].zone`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "(the whole file)"
