"""Where tracks stand on the ground, how fast they go there, and about how tall they are.

Between the tracker and the rules, in the camera worker; does nothing for a camera without
calibration. Speed is the slope of a straight line through the last two seconds (least squares):
a foot point trembles by some pixels, and one step of it means nothing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
from msgspec import structs

from agent.messages.vision import TrackedObject
from agent.rules.ground import Ground
from agent.rules.zone import Point
from agent.settings.rules import Calibration

_LOOK_BACK_S = 2.0
_LEAST_S, _LEAST_PLACES = 0.8, 3
_FORGET_S = 5.0


class Survey:
    """One camera's tracks, brought to the ground. Needs them in the order of time."""

    def __init__(self, calibration: Calibration | None) -> None:
        self._ground = Ground(calibration) if calibration else None
        self._ways: dict[int, deque[tuple[float, Point]]] = {}

    def place(
        self, tracks: Sequence[TrackedObject], at_s: float, aspect: float
    ) -> tuple[TrackedObject, ...]:
        """Return the tracks of one look with what is known of them on the ground.

        `at_s` are monotonic seconds; `aspect` is the picture's width by its height.
        """
        if self._ground is None:
            return tuple(tracks)
        placed = tuple(self._placed(track, at_s, aspect, self._ground) for track in tracks)
        self._ways = {
            number: way for number, way in self._ways.items() if at_s - way[-1][0] < _FORGET_S
        }
        return placed

    def _placed(
        self, track: TrackedObject, at_s: float, aspect: float, ground: Ground
    ) -> TrackedObject:
        foot = ground.metres(track.foot)
        if foot is None:
            return track
        way = self._ways.setdefault(track.track_id, deque())
        way.append((at_s, foot))
        while at_s - way[0][0] > _LOOK_BACK_S:
            way.popleft()
        speed_mps, height_m = _speed_mps(way), ground.height_m(track.region, aspect)
        return structs.replace(
            track,
            ground_m=(round(foot[0], 2), round(foot[1], 2)),
            speed_mps=None if speed_mps is None else round(speed_mps, 2),
            height_m=None if height_m is None else round(height_m, 2),
        )


def _speed_mps(way: Sequence[tuple[float, Point]]) -> float | None:
    """Return the speed along a way; None while it is too short to tell."""
    if len(way) < _LEAST_PLACES or way[-1][0] - way[0][0] < _LEAST_S:
        return None
    times = np.array([at_s for at_s, _ in way])
    times -= times.mean()
    slope = times @ np.array([place for _, place in way]) / (times @ times)
    return math.hypot(*(float(value) for value in slope))
