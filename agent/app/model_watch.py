"""Is the model that the settings name the one that looks? A refused one must not go unnoticed.

The detector falls back by itself (`agent.detect.choice`): to the last good model, else to the one
shipped. Core process; the look reads a file and belongs in a thread.
"""

from collections.abc import Iterator
from pathlib import Path

from agent.core.clock import Clock
from agent.core.errors import DetectorError
from agent.detect.manifest import load_manifest
from agent.health.checks import model_faults
from agent.health.fault import Fault
from agent.messages.capacity import DetectorCapacity

HELD_S = 120.0  # a model that was just named is being fetched, checked and tried


class ModelWatch:
    """One box's. `look` each few seconds, then `faults`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wanted, self._since_s = "", 0.0
        self._used = ""

    def look(self, wanted: str, capacity: DetectorCapacity | None) -> None:
        """Compare the folder of the settings ("" is the one shipped) with what is in use."""
        self._used = "" if capacity is None else _other(wanted, capacity)
        if not self._used or wanted != self._wanted:
            self._wanted, self._since_s = wanted, self._clock.monotonic_s()

    def faults(self) -> Iterator[Fault]:
        """Tell of another model in use, once that has lasted."""
        if self._used and self._clock.monotonic_s() - self._since_s >= HELD_S:
            yield from model_faults(Path(self._wanted).name, self._used)


def _other(wanted: str, capacity: DetectorCapacity) -> str:
    """Return the model in use where it is not the wanted one, else ""."""
    if not wanted or capacity.engine is None:
        return ""
    try:
        forms = load_manifest(Path(wanted)).forms
        is_wanted = [form.sha256 for form in forms] == [one.sha256 for one in capacity.shapes]
    except DetectorError:
        is_wanted = False
    return "" if is_wanted else capacity.model
