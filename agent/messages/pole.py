"""What a contact on the pole says, from the reader of its line to incidents and health."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from agent.contract.events import TimeQuality


class ContactState(StrEnum):
    """How one contact is. `unknown`: its line can't be read; never the same as idle."""

    UNKNOWN = "unknown"
    IDLE = "idle"
    ACTIVE = "active"
    STUCK = "stuck"
    BROKEN = "broken"
    CHATTERING = "chattering"

    @property
    def is_fault(self) -> bool:
        """Whether the contact can't be relied on now."""
        return self not in {ContactState.IDLE, ContactState.ACTIVE}


class PoleSignal(Struct, frozen=True, kw_only=True):
    """A contact changed. `at` is when it did, before it was debounced.

    `press_id` is the same from the beginning of one activity to its end.
    """

    input_id: str
    meaning: str
    state: ContactState
    was: ContactState
    press_id: str
    at: datetime
    mono_s: float
    tq: TimeQuality
    camera_id: str = ""
    detail: str = ""
