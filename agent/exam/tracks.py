"""How well identities last: IDF1 and MOTA, counted by the library `trackeval` (poleside[exam])."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from agent.detect.nanodet import overlaps
from agent.exam.boxes import TrueFrame, corners_of
from agent.messages.vision import TrackedObject

Seen = tuple[list[TrackedObject], TrueFrame]


class TrackerScore(Struct, frozen=True, kw_only=True):
    """Of one clip, or all together. 0..1; `switches`: how often a true one changed its id."""

    idf1: float
    mota: float
    switches: int
    people: int
    tracks: int
    updates: int


class TrackerMeter:
    """Counts clips one by one; None where the library is not installed."""

    def __init__(self) -> None:
        try:
            from trackeval.metrics import CLEAR, Identity  # noqa: PLC0415 - an optional extra
        except ImportError:
            self._metrics: dict[str, Any] = {}
        else:
            self._metrics = {"CLEAR": CLEAR, "Identity": Identity}
        self._all: list[tuple[dict[str, Any], int, int, int]] = []

    @property
    def is_installed(self) -> bool:
        """Whether tracks can be scored at all."""
        return bool(self._metrics)

    def add(self, seen: Sequence[Seen], min_iou: float) -> TrackerScore | None:
        """Score one clip: tracks and truth of each update, in the order of time."""
        if not self._metrics or not seen:
            return None
        data = _sequence(seen)
        results: dict[str, Any] = {
            name: metric({"THRESHOLD": min_iou, "PRINT_CONFIG": False}).eval_sequence(data)
            for name, metric in self._metrics.items()
        }
        one = (results, data["num_gt_ids"], data["num_tracker_ids"], len(seen))
        self._all.append(one)
        return _score(*one)

    def total(self) -> TrackerScore | None:
        """Score all clips together."""
        if not self._all:
            return None
        together = {
            name: metric({"PRINT_CONFIG": False}).combine_sequences(
                {str(k): results[name] for k, (results, *_) in enumerate(self._all)}
            )
            for name, metric in self._metrics.items()
        }
        people = sum(one[1] for one in self._all)
        tracks = sum(one[2] for one in self._all)
        updates = sum(one[3] for one in self._all)
        return _score(together, people, tracks, updates)


def _score(results: dict[str, Any], people: int, tracks: int, updates: int) -> TrackerScore:
    return TrackerScore(
        idf1=round(float(results["Identity"]["IDF1"]), 4),
        mota=round(float(results["CLEAR"]["MOTA"]), 4),
        switches=int(results["CLEAR"]["IDSW"]),
        people=people,
        tracks=tracks,
        updates=updates,
    )


def _sequence(seen: Sequence[Seen]) -> dict[str, Any]:
    """Return a clip in the library's form: identities counted from 0, IoU of each update."""
    true_ids = {one: k for k, one in enumerate(sorted({int(i) for _, t in seen for i in t.ids}))}
    own_ids = {one: k for k, one in enumerate(sorted({t.track_id for ts, _ in seen for t in ts}))}
    return {
        "num_timesteps": len(seen),
        "gt_ids": [np.array([true_ids[int(i)] for i in truth.ids], int) for _, truth in seen],
        "tracker_ids": [np.array([own_ids[t.track_id] for t in ts], int) for ts, _ in seen],
        "similarity_scores": [overlaps(truth.boxes, corners_of(ts)) for ts, truth in seen],
        "num_gt_ids": len(true_ids),
        "num_tracker_ids": len(own_ids),
        "num_gt_dets": sum(len(truth.ids) for _, truth in seen),
        "num_tracker_dets": sum(len(ts) for ts, _ in seen),
    }
