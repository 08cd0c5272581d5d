"""How like two passings are, by clothing colours, class and height: 0 (not the same) to 1."""

from agent.messages.passing import Passing, Shares

MOST_APART = 1.3
"""One height by the other: calibrations and stoops differ so much, a child from a man by more."""
_VEHICLES = ("car", "bus", "truck")


def likeness(one: Passing, other: Passing) -> float | None:
    """Return how like they look; None when colours could not be told of one of them."""
    if _group(one.label) != _group(other.label):
        return 0.0
    if one.height_m and other.height_m:
        low, high = sorted((one.height_m, other.height_m))
        if high > MOST_APART * low:
            return 0.0
    parts = [(one.upper, other.upper)]
    if one.label == "person":
        parts.append((one.lower, other.lower))
    if not all(mine and theirs for mine, theirs in parts):
        return None
    # The part that fits worst decides: a red jacket over other trousers is somebody else.
    return min(_overlap(mine, theirs) for mine, theirs in parts)


def _overlap(one: Shares, other: Shares) -> float:
    return sum(min(pair) for pair in zip(one, other, strict=True))


def _group(label: str) -> str:
    return "vehicle" if label in _VEHICLES else label
