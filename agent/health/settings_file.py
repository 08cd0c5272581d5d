"""From what in the technician's file does not count to faults."""

from collections.abc import Iterator, Sequence

from agent.health.catalogue import fault_of
from agent.health.fault import Fault
from agent.settings.bootstrap import WHOLE_FILE

_NAMED = 5


def settings_faults(left_out: Sequence[str]) -> Iterator[Fault]:
    """Tell which paths of the file do not count, until the box starts with one that is right."""
    if WHOLE_FILE in left_out:
        yield fault_of("settings.file_unusable", "settings")
    elif left_out:
        more = ["…"] if len(left_out) > _NAMED else []
        paths = ", ".join([*left_out[:_NAMED], *more])
        yield fault_of("settings.left_out", "settings", paths=paths)
