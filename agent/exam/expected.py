"""What happens in each clip, as a table says: `expected_events.json`, or KISA's XML.

A table has one entry a clip, under the beginning of the clip's name. An entry may hold
`line` + `line_crossings` [{t, side}], `zone`, `presence_s` [[from, to]], `tamper_from_s`,
`object_xywh` + `from_s` (something left behind), `events` [{behaviour, start_s, end_s}],
`condition` ("night", "rain"), and `coordinates` ("pixels of the 768x576 picture").
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lxml import etree

from agent.core.errors import ExamError
from agent.exam.happenings import TrueEvent

EVENTS_FILE = "expected_events.json"
VEHICLES = frozenset({"car", "bus", "truck"})
PEOPLE = frozenset({"person"})

_SIZE = re.compile(r"(\d{2,5})\s*x\s*(\d{2,5})")
_IOU = re.compile(r"IoU\s*([01]?\.\d+)", re.IGNORECASE)
_CONDITIONS = ("night", "rain", "snow", "fog", "insects", "headlights", "dusk", "crowd")

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """One clip's entry; lengths are in pixels of `size_px` (None: of the clip's own picture)."""

    name: str = ""
    events: tuple[TrueEvent, ...] = ()
    zone_px: Points = ()
    line_px: Points = ()
    object_px: tuple[float, ...] = ()
    size_px: tuple[int, int] | None = None
    condition: str = ""
    labels: frozenset[str] = PEOPLE
    min_iou: float = 0.5
    note: str = ""
    is_complete: bool = False
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def behaviours(self) -> frozenset[str]:
        """What it says something about."""
        return frozenset(event.behaviour for event in self.events)


def read_expected(path: Path) -> dict[str, ClipFacts]:
    """Read a table of entries, or one KISA XML file. Raises `ExamError` exam.truth."""
    try:
        if path.suffix.lower() == ".xml":
            return {path.stem: _kisa(path)}
        table = json.loads(path.read_text())
        if not isinstance(table, dict):
            raise TypeError("not a table of clips")  # noqa: TRY301
        return {
            name: _entry(name, entry) for name, entry in table.items() if isinstance(entry, dict)
        }
    except (OSError, ValueError, TypeError, KeyError, IndexError, etree.LxmlError) as error:
        raise ExamError(
            "exam.truth",
            f"{path.name} can't be read as expected events: {error!r}.",
            hint="See agent/exam/README.md for the form.",
        ) from error


def entry_for(stem: str, table: Mapping[str, ClipFacts]) -> ClipFacts | None:
    """Return the entry with the longest name that the clip's name begins with."""
    fitting = [name for name in table if stem == name or stem.startswith(f"{name}_")]
    return table[max(fitting, key=len)] if fitting else None


def condition_of(stem: str, entry: ClipFacts | None) -> str:
    """Return under which condition a clip was taken; by its name when the truth is silent."""
    if entry is not None and entry.condition:
        return entry.condition
    words = re.split(r"[^a-z]+", stem.lower())
    return next((one for one in _CONDITIONS if one in words), "day")


def _entry(name: str, raw: Mapping[str, Any]) -> ClipFacts:
    note = str(raw.get("note", ""))
    size = _SIZE.search(str(raw.get("coordinates", "")))
    iou = _IOU.search(note)
    is_vehicles = "vehicles" in raw or raw.get("label") == "vehicle"
    return ClipFacts(
        name=name,
        events=tuple(_events(raw, "vehicle" if is_vehicles else "person")),
        zone_px=_points(raw.get("zone", ())),
        line_px=_points(raw.get("line", ())),
        object_px=tuple(float(one) for one in raw.get("object_xywh", ())),
        size_px=(int(size[1]), int(size[2])) if size else None,
        condition=str(raw.get("condition", "")),
        labels=VEHICLES if is_vehicles else PEOPLE,
        min_iou=float(iou[1]) if iou else float(raw.get("min_iou", 0.5)),
        note=note,
        is_complete=bool(raw.get("quiet", False)) or "events" in raw,
        figures={"zone_occupied_s": float(raw["zone_occupied_s"])}
        if "zone_occupied_s" in raw
        else {},
    )


def _events(raw: Mapping[str, Any], who: str) -> list[TrueEvent]:
    events = [
        TrueEvent("line-crossing", float(one["t"]), detail=str(one.get("side", "")))
        for one in raw.get("line_crossings", ())
    ]
    events += [
        TrueEvent("intrusion", float(since), float(until), detail=who, is_fact=True)
        for since, until in raw.get("presence_s", ())
    ]
    if "tamper_from_s" in raw:
        events.append(TrueEvent("tamper", float(raw["tamper_from_s"]), float("inf")))
    if "object_xywh" in raw:
        until_s = raw.get("until_s")
        events.append(
            TrueEvent(
                "abandoned-object",
                float(raw["from_s"]),
                None if until_s is None else float(until_s),
                is_fact=True,
            )
        )
    for one in raw.get("events", ()):
        end_s = one.get("end_s")
        events.append(
            TrueEvent(
                behaviour_of(str(one.get("behaviour") or one["kind"])),
                float(one["start_s"]),
                None if end_s is None else float(end_s),
                rule_id=str(one.get("rule_id", "")),
            )
        )
    return events


def _points(raw: Any) -> Points:
    return tuple((float(x), float(y)) for x, y in raw)


_SAME = {
    "line": "line-crossing",
    "linecrossing": "line-crossing",
    "loiter": "loitering",
    "abandonment": "abandoned-object",
    "abandoned": "abandoned-object",
    "abandonedobject": "abandoned-object",
    "leftobject": "abandoned-object",
    "falldown": "person-down",
    "flooding": "flood",
    "trespass": "intrusion",
}


def behaviour_of(word: str) -> str:
    """Return one name for what rules, tables and KISA call by several."""
    plain = re.sub(r"[^a-z]", "", word.lower())
    return _SAME.get(plain, word.lower().replace("_", "-").replace(" ", "-"))


def _kisa(path: Path) -> ClipFacts:
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    root = etree.parse(str(path), parser).getroot()
    events = []
    for alarm in root.iter("Alarm"):
        start_s = _seconds(alarm.findtext("StartTime") or "0")
        lasts_s = _seconds(alarm.findtext("AlarmDuration") or "0")
        what = alarm.findtext("AlarmDescription") or root.findtext(".//Scenario") or "intrusion"
        events.append(TrueEvent(behaviour_of(what), start_s, start_s + lasts_s))
    return ClipFacts(name=path.stem, events=tuple(events), is_complete=True)


def _seconds(text: str) -> float:
    whole = 0.0
    for part in text.strip().split(":"):
        whole = whole * 60 + float(part)
    return whole
