"""The camera that sits the exam: its settings, from a file of rules or from what the truth asks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from agent.core.errors import ExamError, SettingsError
from agent.exam.boxes import PictureFit
from agent.exam.expected import VEHICLES, ClipFacts
from agent.settings.load import read_file
from agent.settings.model import CameraSettings

WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
_CAR_SCORE = 0.2  # from above and afar cars are seen faintly; the model's own threshold


class RulesFile:
    """Rules for clips: `[[rules]]` for all, or a table by the beginning of a clip's name.

    Or a box's settings: the camera of that name is taken; the only one serves for every clip.
    """

    def __init__(self, path: Path) -> None:
        """Read TOML or JSON. Raises `SettingsError` or `ExamError`."""
        self._name = path.name
        if path.suffix.lower() == ".json":
            try:
                self._table: Mapping[str, Any] = json.loads(path.read_text())
            except (OSError, ValueError) as error:
                raise _bad_rules(path.name, str(error)) from error
        else:
            self._table = read_file(path)

    def camera_for(self, stem: str, updates_per_s: float | None) -> CameraSettings:
        """Return the settings of the camera that sees this clip. Raises `ExamError`."""
        return _camera(stem, self._own(stem), updates_per_s, self._name)

    def _own(self, stem: str) -> dict[str, Any]:
        cameras = self._table.get("cameras")
        if isinstance(cameras, list):
            own = [one for one in cameras if _slug(stem).startswith(str(one.get("camera_id")))]
            own = own or (cameras if len(cameras) == 1 else [])
            return dict(max(own, key=lambda one: len(str(one["camera_id"])), default={}))
        if "rules" in self._table:
            return dict(self._table)
        names = [one for one in self._table if _slug(stem).startswith(_slug(one))]
        own_table = self._table[max(names, key=len)] if names else {}
        return dict(own_table) if isinstance(own_table, dict) else {"rules": own_table}


def camera_by_truth(
    stem: str, facts: ClipFacts | None, fit: PictureFit, updates_per_s: float | None
) -> CameraSettings:
    """Return a camera with the rules that the truth speaks of, and one against tampering."""
    rules: list[dict[str, Any]] = [{"kind": "tamper", "rule_id": "tamper"}]
    if facts is not None:
        rules += _rules_of(facts, fit)
    return _camera(stem, {"rules": rules}, updates_per_s, "the truth")


def _rules_of(facts: ClipFacts, fit: PictureFit) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = []
    if facts.line_px:
        rules.append(
            {"kind": "line-crossing", "rule_id": "line", "line": _points(facts.line_px, fit)}
        )
    if facts.zone_px:
        rules.append({"kind": "intrusion", "rule_id": "zone", "zone": _points(facts.zone_px, fit)})
    for behaviour in sorted({event.behaviour for event in facts.events if event.is_fact}):
        rule: dict[str, Any] = {"kind": behaviour, "rule_id": behaviour, "zone": WHOLE}
        if behaviour == "intrusion":
            rule["labels"] = tuple(sorted(facts.labels))
            if facts.labels == VEHICLES:
                rule["min_score"] = _CAR_SCORE
        rules.append(rule)
    return rules


def _camera(
    stem: str, table: Mapping[str, Any], updates_per_s: float | None, source: str
) -> CameraSettings:
    raw = {"main_url": "rtsp://exam/"} | dict(table) | {"camera_id": _slug(stem), "onvif_url": ""}
    if updates_per_s is not None:
        raw["detect_fps"] = updates_per_s
    try:
        return msgspec.convert(raw, CameraSettings)
    except msgspec.ValidationError as error:
        raise _bad_rules(source, str(error)) from error


def _points(points_px: Sequence[tuple[float, float]], fit: PictureFit) -> list[tuple[float, float]]:
    places = fit.fractions(np.array(points_px, float)).clip(0.0, 1.0)
    return [(float(x), float(y)) for x, y in places]


def _slug(stem: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:32].strip("-") or "clip"


def _bad_rules(name: str, why: str) -> ExamError | SettingsError:
    return ExamError(
        "exam.rules",
        f"The rules of {name} can't be used: {why}.",
        hint="Write them as in a camera's settings: [[rules]] with kind, rule_id, zone, ...",
    )
