"""From what in the technician's file, or on his stick, does not count to faults."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from agent.health.catalogue import fault_of
from agent.health.fault import Fault
from agent.settings.bootstrap import WHOLE_FILE

_NAMED = 5
_TOLD = "poleside-provision/state.json"  # the image's first step of a boot
_MOST_BYTES = 64 * 1024


class StickTold(Struct, frozen=True):
    """What the image's first step made of a technician's stick. `settings` says why, if refused."""

    settings: str = ""
    is_refused: bool = False
    is_visited: bool = False


def told_of_stick(run: Path) -> StickTold:
    """Return what this boot found on a stick; nothing where it is not our image."""
    try:
        with (run / _TOLD).open("rb") as file:
            return msgspec.json.decode(file.read(_MOST_BYTES), type=StickTold)
    except (OSError, msgspec.MsgspecError):
        return StickTold()


def stick_faults(told: StickTold) -> Iterator[Fault]:
    """Tell of a stick that was not taken, or that opens the box, until the next boot."""
    if told.is_refused:
        yield fault_of("settings.stick_refused", "settings", why=told.settings)
    if told.is_visited:
        yield fault_of("settings.visit_stick", "settings")


def settings_faults(left_out: Sequence[str]) -> Iterator[Fault]:
    """Tell which paths of the file do not count, until the box starts with one that is right."""
    if WHOLE_FILE in left_out:
        yield fault_of("settings.file_unusable", "settings")
    elif left_out:
        yield fault_of("settings.left_out", "settings", paths=named(left_out))


def named(paths: Sequence[str]) -> str:
    """Return the first of them for a sentence."""
    more = ["…"] if len(paths) > _NAMED else []
    return ", ".join([*paths[:_NAMED], *more])
