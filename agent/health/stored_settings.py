"""From what is stored over the technician's file, and does not fit it, to faults."""

from collections.abc import Iterator, Sequence

from agent.health.catalogue import fault_of
from agent.health.fault import Fault
from agent.health.settings_file import named
from agent.settings.sift import LeftOut


def stored_faults(left_out: Sequence[LeftOut]) -> Iterator[Fault]:
    """Tell what the center or a technician at the page set that is not in effect, and why."""
    for code, is_local in (("settings.center_left_out", False), ("settings.page_left_out", True)):
        if some := [left for left in left_out if left.is_local is is_local]:
            paths = named([left.path for left in some])
            yield fault_of(code, "settings", paths=paths, reason=some[0].error.message)
