"""A disk written too much today is spared: events only for the rest of the day (UTC), if so told.

`buffer.over_budget = "events"`; by the stage that event-only mode uses (`agent.buffer.stage`), so
nothing that lies on the disk goes sooner for it, and the recording goes on without a gap.
"""

from agent.buffer.ledger import EVENTS
from agent.buffer.stage import Stage
from agent.core import log
from agent.settings.model import BufferSettings


def mode_now(settings: BufferSettings, stage: Stage | None) -> str:
    """Return what a camera's recording is in: `continuous` or `events`."""
    return EVENTS if stage is not None and stage.is_on else settings.mode


class Sparing:
    """One camera's. Without room in memory to wait in, nothing could be spared: then it is off."""

    def __init__(self, settings: BufferSettings, stage: Stage | None) -> None:
        is_wanted = settings.over_budget == EVENTS and settings.mode != EVENTS
        self._stage = stage if is_wanted else None
        self._room_bytes = settings.stage_bytes
        self._log = log.get("buffer.sparing")

    @property
    def is_on(self) -> bool:
        """Whether the disk is spared now."""
        return self._stage is not None and self._stage.is_on

    def turn(self, *, is_over: bool) -> None:
        """Begin, or end; `is_over`: today's budget is used up."""
        if self._stage is None or is_over is self._stage.is_on or not self._room_bytes:
            return
        self._stage.use(self._room_bytes if is_over else 0)
        self._log.warning("records events only" if is_over else "records all again")
