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


class _Told(Struct, frozen=True):
    settings: str = ""
    is_refused: bool = False


def refused_stick(run: Path) -> str:
    """Return why this boot took nothing from a stick that had something; "": nothing was wrong."""
    try:
        with (run / _TOLD).open("rb") as file:
            told = msgspec.json.decode(file.read(_MOST_BYTES), type=_Told)
    except (OSError, msgspec.MsgspecError):  # not our image
        return ""
    return told.settings if told.is_refused else ""


def stick_faults(why: str) -> Iterator[Fault]:
    """Tell of a stick that was not taken, until the next boot."""
    if why:
        yield fault_of("settings.stick_refused", "settings", why=why)


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
