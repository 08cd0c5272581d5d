"""Counts who crosses a line, each way. The parity is kept: nobody crosses twice the same way.

A foot point changes side only when it is clearly beyond the line, so jitter on the line counts
nothing; and it counts only when the way it took cuts the line between its two ends. The counts
lie in the camera's folder, so that a restart counts on; another line begins anew.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent.contract.events import EventKind
from agent.messages.vision import RuleChange, TrackedObject
from agent.rules.alarm import Alarm
from agent.rules.lineage import Lineages
from agent.rules.zone import Point
from agent.settings.rules import LineCrossingRule
from agent.settings.shapes import crosses, side

_LEAST_MARGIN = 0.004  # of the frame
_MARGIN = 0.1  # of the object's own size: a region's edges tremble about so much


@dataclass(slots=True)
class _Way:
    """On which side (1 right, -1 left) an object was last for sure, and where."""

    side: int = 0
    at: Point = (0.0, 0.0)
    sure: bool = False


class LineCrossing:
    """Began: somebody crossed a way that alarms. Ended: nobody did for `clear_s`."""

    kind = EventKind.LINE_CROSSING

    def __init__(self, settings: LineCrossingRule, folder: Path | None = None) -> None:
        self.rule_id = settings.rule_id
        self._settings = settings
        self._file = None if folder is None else folder / f"line-{settings.rule_id}.json"
        self.forward, self.back = self._kept()
        self._alarm = Alarm(settings.rule_id, settings.clear_s)
        self._ways = Lineages(lambda _track, _at_s: _Way(), keep_s=5.0, inherit_s=2.0)

    @property
    def counters(self) -> dict[str, int]:
        """How many crossed each way since the rule began."""
        return {"forward": self.forward, "back": self.back}

    def update(self, tracks: Sequence[TrackedObject], at_s: float) -> list[RuleChange]:
        """Take the tracks of one frame at `at_s` (monotonic seconds, never going back)."""
        must_forget, changes = self._alarm.after_blindness(at_s)
        if must_forget:
            self._ways.clear()
        crossed = []
        labelled = [track for track in tracks if track.label in self._settings.labels]
        for track, way in self._ways.follow(labelled, at_s):
            way.sure = way.sure or track.score >= self._settings.min_score
            if way.sure and self._counts(self._step(track, way)):
                crossed.append(track)
        return changes + self._alarm.step(
            at_s,
            begins=bool(crossed),
            holds=bool(crossed),
            objects=crossed,
            measures=self.counters,
            news=True,
        )

    def _counts(self, crossing: int) -> bool:
        self.forward += crossing > 0
        self.back += crossing < 0
        if crossing:
            self._keep()
        alarm = self._settings.alarm
        if alarm == "both":
            return crossing != 0
        return (alarm == "forward" and crossing > 0) or (alarm == "back" and crossing < 0)

    def _kept(self) -> tuple[int, int]:
        if self._file is None:
            return 0, 0
        try:
            kept = msgspec.json.decode(self._file.read_bytes(), type=_Kept)
        except (OSError, msgspec.MsgspecError):
            return 0, 0
        is_same = (kept.line, kept.labels) == (self._settings.line, self._settings.labels)
        return (kept.forward, kept.back) if is_same else (0, 0)

    def _keep(self) -> None:
        """Write the counts down; not flushed, for a busy line would wear the disk."""
        if self._file is None:
            return
        kept = _Kept(
            line=self._settings.line,
            labels=self._settings.labels,
            forward=self.forward,
            back=self.back,
        )
        scratch = self._file.with_suffix(".new")
        try:
            scratch.write_bytes(msgspec.json.encode(kept))
            scratch.replace(self._file)
        except OSError:
            return  # a full disk: counted on all the same

    def _step(self, track: TrackedObject, way: _Way) -> int:
        """Move an object on; return 1 or -1 when it has just crossed to the right or left."""
        a, b = self._settings.line
        length, region = math.dist(a, b), track.region
        off = side(a, b, track.foot) / length
        size = (abs(b[1] - a[1]) * region.width + abs(b[0] - a[0]) * region.height) / length
        if abs(off) <= max(_LEAST_MARGIN, _MARGIN * size):  # `size` is that across the line
            return 0
        now, before, came_from = (1 if off > 0 else -1), way.side, way.at
        way.side, way.at = now, track.foot
        if before in {0, now} or not crosses(a, b, came_from, track.foot):
            return 0
        return now


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """How many crossed each way, and which line that was."""

    line: tuple[Point, Point]
    labels: tuple[str, ...]
    forward: int
    back: int
