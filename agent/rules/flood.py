"""Water rises: level 0 to 4 on a virtual staff gauge, with hysteresis and its rate of rise.

Experimental: measured on drawn scenes only. What the dry gauge looks like is kept in the camera's
folder, so that a box that starts in a flood does not take the water for the ground.
"""

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import msgspec
import numpy as np

from agent.contract.events import EventKind
from agent.core.whole_file import write_whole
from agent.messages.vision import RuleChange, TrackedObject
from agent.rules.alarm import Alarm
from agent.rules.scene import Scene
from agent.rules.staff_gauge import StaffGauge
from agent.settings.rules import FloodRule

_LOOK_EVERY_S = 0.45
_LEARN_FOR_S = 10.0
_HYSTERESIS = 0.04  # of the gauge
_MOST_RISE_PER_S = 0.02  # of the gauge: faster is somebody in front of it, not water
_RISE_OVER_S = 60.0
_RELEARN_PER_LOOK = 0.0002  # the sun goes round, dust settles; only while dry
_UNSEEN_RELEARN_S = 600.0  # dry, then not recognised for so long: night has come


class Flood:
    """Began: level 1 held for `hold_s`. Another level is news. Ended: level 0 for `clear_s`."""

    kind = EventKind.FLOOD

    def __init__(self, settings: FloodRule, folder: Path | None = None) -> None:
        self.rule_id = settings.rule_id
        self.level = 0
        self._settings = settings
        self._file = None if folder is None else folder / f"flood-{settings.rule_id}.json"
        self._gauge = StaffGauge(*settings.gauge, settings.width)
        self._gauge.dry = self._kept()
        self._alarm = Alarm(settings.rule_id, settings.clear_s)
        self._blocked = False
        self._looked_s = self._first_s = self._seen_s = float("-inf")
        self._raw: deque[tuple[float, float]] = deque()
        self._shares: deque[tuple[float, float]] = deque()

    def update(self, tracks: Sequence[TrackedObject], _at_s: float) -> list[RuleChange]:
        """Take note of who stands in front of the gauge."""
        (ax, ay), (bx, by) = self._settings.gauge
        half = self._settings.width / 2
        left, right, top, bottom = min(ax, bx) - half, max(ax, bx) + half, min(ay, by), max(ay, by)
        self._blocked = any(
            region.x < right
            and region.x + region.width > left
            and region.y < bottom
            and region.y + region.height > top
            for region in (track.region for track in tracks)
        )
        return []

    def see(self, scene: Scene, at_s: float) -> list[RuleChange]:
        """Take the picture of one frame at `at_s` (monotonic seconds, never going back)."""
        if at_s - self._looked_s < _LOOK_EVERY_S:
            return []
        _, changes = self._alarm.after_blindness(at_s)
        self._looked_s = at_s
        if self._blocked or scene.doubts:
            return changes
        self._gauge.look(scene.luma, at_s)
        share = self._share(at_s)
        if share is None:
            return changes
        before, self.level = self.level, self._level(share)
        return changes + self._alarm.step(
            at_s,
            begins=self.level > 0,
            holds=self.level > 0,
            measures=self._measures(share),
            news=self.level != before,
        )

    def _share(self, at_s: float) -> float | None:
        """Return the smoothed share of the gauge under water, None while it can't be told."""
        if self._gauge.dry is None:
            self._learn(at_s)
            return None
        reading = self._gauge.read()
        now = self._shares[-1][1] if self._shares else 0.0
        if reading is None or not (reading.is_seen or now > 0.8):
            self._learn_anew(at_s, now)
            return None
        self._seen_s = at_s
        if reading.share == 0.0:
            self._gauge.learn(_RELEARN_PER_LOOK)
        self._raw.append((at_s, reading.share))
        while at_s - self._raw[0][0] > self._settings.hold_s:
            self._raw.popleft()
        if at_s - self._raw[0][0] < 0.8 * self._settings.hold_s:
            return None
        share = float(median(value for _, value in self._raw))
        if self._shares:
            passed_s = at_s - self._shares[-1][0]
            share = min(share, now + max(_MOST_RISE_PER_S * passed_s, 0.0))
        self._shares.append((at_s, share))
        while at_s - self._shares[0][0] > _RISE_OVER_S:
            self._shares.popleft()
        return share

    def _level(self, share: float) -> int:
        return sum(
            share >= (mark - _HYSTERESIS if self.level > index else mark)
            for index, mark in enumerate(self._settings.marks)
        )

    def _measures(self, share: float) -> dict[str, float]:
        (then_s, then), (now_s, now) = self._shares[0], self._shares[-1]
        per_min = (now - then) * 60 / (now_s - then_s) if now_s - then_s > 10 else 0.0
        measures = {
            "level": float(self.level),
            "share": round(share, 3),
            "rise_share_per_min": round(per_min, 3),
        }
        if self._settings.length_m is not None:
            measures["rise_cm_per_min"] = round(100 * per_min * self._settings.length_m, 1)
        return measures

    def _learn(self, at_s: float) -> None:
        if self._first_s == float("-inf"):
            self._first_s = at_s
        elif at_s - self._first_s >= _LEARN_FOR_S:
            self._gauge.learn()
            self._seen_s = at_s
            self._keep()

    def _learn_anew(self, at_s: float, share: float) -> None:
        if share == 0.0 and at_s - self._seen_s >= _UNSEEN_RELEARN_S:
            self._gauge.dry = None
            self._gauge.learn()
            self._seen_s = at_s
            self._keep()

    def _kept(self) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]] | None":
        if self._file is None:
            return None
        try:
            kept = msgspec.json.decode(self._file.read_bytes(), type=_Kept)
        except (OSError, msgspec.MsgspecError):
            return None
        if kept.gauge != self._settings.gauge or kept.width != self._settings.width:
            return None
        return np.array(kept.dry, np.float32)

    def _keep(self) -> None:
        if self._file is None or self._gauge.dry is None:
            return
        rows = tuple(tuple(round(float(v), 1) for v in row) for row in self._gauge.dry)
        kept = _Kept(gauge=self._settings.gauge, width=self._settings.width, dry=rows)
        try:
            write_whole(self._file, msgspec.json.encode(kept))
        except OSError:
            return  # a full disk: it is learned again


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a dry gauge looks like, and of which gauge it was taken."""

    gauge: tuple[tuple[float, float], tuple[float, float]]
    width: float
    dry: tuple[tuple[float, ...], ...]
