"""Tracks for tests of rules: where something stands, and films of it at a steady rate."""

from agent.contract.events import Region
from agent.messages.vision import TrackedObject

WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


def thing(x, foot, track_id=1, label="person", score=0.9, width=0.04, height=0.15):
    """Something whose foot point is (x, foot)."""
    return TrackedObject(
        track_id, label, score, Region(x - width / 2, foot - height, width, height)
    )


def play(rule, film, fps=5.0, start_s=100.0):
    """Show one list of tracks a frame; return (seconds since the start, change) of all changes."""
    told = []
    for number, tracks in enumerate(film):
        at_s = start_s + number / fps
        told += [(number / fps, change) for change in rule.update(tracks, at_s)]
    return told
