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
_STATES = frozenset({"light", "state", "tq", "detector"})
_PREFIX = "poleside"


def exposition(state: BoxState) -> str:
    """Return every number, flag and state of the box, one sample a line."""
    samples: dict[str, list[str]] = {}
    for name, labels, value in _of_box(to_builtins(state)):
        samples.setdefault(name, []).append(f"{name}{_shown(labels)} {value:g}")
    lines = [line for name, group in samples.items() for line in (f"# TYPE {name} gauge", *group)]
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
            yield from _of_fields(_PREFIX, {key: value}, {})


def _of_fields(prefix: str, fields: dict[str, Any], labels: dict[str, str]) -> Iterator[Sample]:
    for key, value in fields.items():
        name = f"{prefix}_{key}"
        if isinstance(value, dict):
            yield from _of_fields(name, value, labels)
        elif isinstance(value, bool | int | float):
            yield name, labels, float(value)
        elif key in _STATES and isinstance(value, str):
            yield name, {**labels, key: value}, 1.0


def _shown(labels: dict[str, str]) -> str:
    """Return labels with the three escapes of the format."""
    if not labels:
        return ""
    pairs = (f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}"


_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
