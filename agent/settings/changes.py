"""What differs between two settings, value by value, as people may read it: secrets are hidden."""

import json
from typing import Any

import msgspec

from agent.core.redact import redact
from agent.settings.model import Settings

_MOST_VALUE, _MOST_TEXT = 120, 2000  # characters
_NAMES = ("camera_id", "rule_id", "input_id", "output_id")
_NOTHING = "-"


def shown(settings: Settings) -> dict[str, str]:
    """Return every value by its path, `cameras.gate.detect_fps`, with secrets hidden."""
    return _flat(redact(msgspec.to_builtins(settings)))


def changes(old: Settings, new: Settings) -> str:
    """Return each value that differs as `path: old -> new`; a secret as `***`, new or not."""
    before, after = (_flat(msgspec.to_builtins(each)) for each in (old, new))
    paths = [path for path in before | after if before.get(path) != after.get(path)]
    return tell(shown(old), shown(new), paths)


def tell(before: dict[str, str], after: dict[str, str], paths: list[str] | None = None) -> str:
    """Return the values at `paths` (without them: those that differ) in one line, cut to size."""
    if paths is None:
        paths = [path for path in before | after if before.get(path) != after.get(path)]
    lines = [f"{path}: {_cut(before.get(path))} -> {_cut(after.get(path))}" for path in paths]
    text = "; ".join(lines)
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}… ({len(lines)} values)"


def _flat(value: Any, path: str = "") -> dict[str, str]:
    if isinstance(value, dict) and value:
        found = list(value.items())
    elif isinstance(value, list | tuple) and value and all(name_of(item) for item in value):
        found = [(name_of(item), item) for item in value]
    else:
        return {path: json.dumps(value, ensure_ascii=False)}
    flat: dict[str, str] = {}
    for key, item in found:
        flat |= _flat(item, f"{path}.{key}" if path else str(key))
    return flat


def _cut(value: str | None) -> str:
    if value is None:
        return _NOTHING
    return value if len(value) <= _MOST_VALUE else f"{value[:_MOST_VALUE]}…"


def name_of(item: Any) -> str:
    """Return what a table in a list is known by, "" for one that has no name."""
    if not isinstance(item, dict):
        return ""
    return next((str(item[key]) for key in _NAMES if item.get(key)), "")
