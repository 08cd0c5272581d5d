"""The box's state as Prometheus text: for whoever scrapes on the box itself.

Format: Prometheus text exposition 0.0.4. What is unknown has no sample: absence is not zero.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import to_builtins

from agent.local.web.view import BoxState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Lists: what one entry is called, and which of its fields name it.
_LISTS = {
    "faults": ("fault", ("code", "camera_id")),
    "cameras": ("camera", ("camera_id",)),
    "processes": ("process", ("name",)),
}
# Maps: what one entry is called; its name becomes a label.
_MAPS = {"contacts": "contact", "outputs": "output", "bell_tests": "bell_test", "rails": "rail"}
_STATES = frozenset({"light", "state", "tq", "detector", "heat_band", "disk_wear"})
_PREFIX = "poleside"
_SAID_AS = {"hardware": "board"}  # the front page's few figures of the board are among these


def exposition(state: BoxState) -> str:
    """Return every number, flag and state of the box, one sample a line."""
    samples: dict[str, dict[str, float]] = {}
    for name, labels, value in _of_box(to_builtins(state)):
        samples.setdefault(name, {}).setdefault(f"{name}{_shown(labels)}", value)
    lines = []
    for name, group in samples.items():
        lines.append(f"# TYPE {name} gauge")
        lines += [f"{sample} {value:.15g}" for sample, value in group.items()]
    return "\n".join(lines) + "\n"


Sample = tuple[str, dict[str, str], float]


def _of_box(state: dict[str, Any]) -> Iterator[Sample]:
    for key, value in state.items():
        if key in _LISTS:
            yield f"{_PREFIX}_{key}", {}, float(len(value))
            singular, names = _LISTS[key]
            for entry in value:
                labels = {name: str(entry[name]) for name in names if entry.get(name)}
                yield from _of_fields(f"{_PREFIX}_{singular}", entry, labels)
        else:
            yield from _of_fields(_PREFIX, {_SAID_AS.get(key, key): value}, {})


def _of_fields(prefix: str, fields: dict[str, Any], labels: dict[str, str]) -> Iterator[Sample]:
    for key, value in fields.items():
        name = f"{prefix}_{key}"
        if isinstance(value, dict) and key in _MAPS:
            yield from _of_map(f"{prefix}_{_MAPS[key]}", _MAPS[key], value, labels)
        elif isinstance(value, dict):
            yield from _of_fields(name, value, labels)
        elif isinstance(value, bool | int | float):
            yield name, labels, float(value)
        elif key in _STATES and isinstance(value, str):
            yield name, {**labels, key: value}, 1.0


def _of_map(
    name: str, kind: str, entries: dict[str, Any], labels: dict[str, str]
) -> Iterator[Sample]:
    for entry, value in entries.items():
        named = {**labels, kind: entry}
        if isinstance(value, dict):
            yield from _of_fields(name, value, named)
        elif isinstance(value, str):
            yield name, {**named, "state": value}, 1.0
        elif value is not None:
            yield name, named, float(value)


def _shown(labels: dict[str, str]) -> str:
    """Return labels with the three escapes of the format."""
    if not labels:
        return ""
    pairs = (f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}"


_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
