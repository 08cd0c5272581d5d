"""Orders about locks on recorded video: from the center by the core's line, or a file at the box.

The camera's worker carries them out: it is the only writer of its index.
"""

from datetime import datetime

from msgspec import Struct


class LockSpan(Struct, frozen=True, kw_only=True, tag="lock"):
    """Keep what was or will be recorded in [since, until) until `expires_at`.

    `since_mono_s`: `since` on this boot's monotonic clock, where it is known. The recording's own
    time of it then wins, and the lock is re-dated with the recording.
    """

    request_id: str
    lock_id: str
    since: datetime
    until: datetime
    incident_id: str
    approver: str
    expires_at: datetime
    kind: str = "evidence"
    since_mono_s: float | None = None


class Unlock(Struct, frozen=True, kw_only=True, tag="unlock"):
    """Let a lock go before its time."""

    request_id: str
    lock_id: str
    by: str


class LockReply(Struct, frozen=True, kw_only=True, tag="lock-reply"):
    """Carried out when `code` is empty; else why not, and what to do."""

    request_id: str
    code: str = ""
    message: str = ""
    hint: str = ""


LockOrder = LockSpan | Unlock
