"""Pulling plugs: which process dies when, for how long, and how long all was not well again."""

import re
from dataclasses import dataclass

from msgspec import Struct

from agent.core.errors import SettingsError

_PLUG = re.compile(r"^(?P<what>[a-z0-9-]+):(?P<at>\d+(?:\.\d+)?)(?::(?P<off>\d+(?:\.\d+)?))?$")


@dataclass(frozen=True, slots=True)
class Plug:
    """Kill `what` `at_s` seconds after the start, keep it off for `off_s`."""

    what: str
    at_s: float
    off_s: float


class Pulled(Struct, frozen=True, kw_only=True):
    """What happened: `recovered_s` runs from the kill until all was well again; None: never."""

    what: str
    at_s: float
    off_s: float
    pid: int | None
    recovered_s: float | None


def parse(text: str) -> Plug:
    """Return the plug of WHAT:AT[:OFF]. Raises `SettingsError` demo.bad_plug."""
    found = _PLUG.match(text)
    if found is None:
        raise SettingsError(
            "demo.bad_plug",
            f"`{text}` says no plug to pull.",
            hint="Write WHAT:AT or WHAT:AT:OFF, seconds, like broker:20:30 or core:45.",
        )
    return Plug(found["what"], float(found["at"]), float(found["off"] or 0.0))
