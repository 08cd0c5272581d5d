"""How long the way from one camera to another takes: as set, as learned, or anything likely."""

from collections.abc import Mapping, Sequence

from agent.settings.model import SightingSettings

ANY_S = (0.0, 60.0)
_LEARNED_FROM = 8
_SLACK, _SLACK_S = 1.5, 2.0


def window_s(
    settings: SightingSettings,
    learned: Mapping[tuple[str, str], Sequence[float]],
    start: str,
    to: str,
) -> tuple[float, float]:
    """Return the shortest and the longest time from `start` to `to`."""
    if start == to:
        return ANY_S
    for way in settings.neighbours:
        if {start, to} == set(way.cameras):
            return way.travel_s
    times = sorted(learned.get((start, to), ()))
    if len(times) < _LEARNED_FROM:
        return ANY_S
    low, high = times[len(times) // 10], times[-1 - len(times) // 10]
    return max(0.0, low / _SLACK - _SLACK_S), high * _SLACK + _SLACK_S
