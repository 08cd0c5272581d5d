"""How engines behaved since the box began: who hung or crashed too often is left alone for a while.

The detect process writes here which engine it is about to use, and takes that back when it ends in
order. What still stands there at the next start has hung (and was killed) or crashed: a strike.
The file lies in the run folder, so that a reboot is a fresh chance.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct, field

from agent.core.clock import Clock
from agent.messages.engines import Engine

RECORD_FILE = "engines.json"
STRIKES, WITHIN_S = 3, 1800.0


class _Notes(Struct, kw_only=True):
    """`strikes` are moments of the monotonic clock, by engine and model."""

    using: str = ""
    strikes: dict[str, list[float]] = field(default_factory=dict)


class EngineRecord:
    """Owned by the detect process; the next one reads it at its start."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._path, self._clock = folder / RECORD_FILE, clock
        self._notes = self._read()
        if self._notes.using:
            self._strike(self._notes.using, 1)
            self.done()

    def left(self, sha256: str, engines: Sequence[Engine]) -> list[Engine]:
        """Return the engines that may be used with this model, in the order given."""
        return [one for one in engines if len(self._lately(_key(sha256, one))) < STRIKES]

    def using(self, sha256: str, engine: Engine) -> None:
        """From now on an end without `done` is this engine's fault."""
        self._notes.using = _key(sha256, engine)
        self._write()

    def done(self) -> None:
        """The process ends in order, or turns to another engine."""
        self._notes.using = ""
        self._write()

    def fails(self, sha256: str, engine: Engine) -> None:
        """It said itself that it can't: it has no second try before `WITHIN_S` are over."""
        self._strike(_key(sha256, engine), STRIKES)
        self.done()

    def _strike(self, key: str, count: int) -> None:
        self._notes.strikes[key] = [*self._lately(key), *([self._clock.monotonic_s()] * count)]

    def _lately(self, key: str) -> list[float]:
        now_s = self._clock.monotonic_s()
        return [at_s for at_s in self._notes.strikes.get(key, ()) if 0 <= now_s - at_s < WITHIN_S]

    def _read(self) -> _Notes:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Notes)
        except (OSError, msgspec.MsgspecError):
            return _Notes()

    def _write(self) -> None:
        self._path.write_bytes(msgspec.json.encode(self._notes))


def _key(sha256: str, engine: Engine) -> str:
    return f"{engine}:{sha256}"
