"""Whether a subscription still hears: a camera may keep one for us and tell it nothing any more.

Some evict the oldest listener in silence, and answer each pull with nothing. So whoever was silent
for long is asked to tell all states (a synchronisation point). A camera that has answered that once
and does not now has made this subscription deaf. Where none has ever been answered, the other way
is tried once; then nothing can be known, and it is only asked again and again.
"""

from dataclasses import dataclass
from enum import Enum, auto

QUIET_S = 30.0  # so long without a word, and all states are asked for
ANSWER_S = 15.0  # a pull waits for 10 s at most
SYNCHRONISE_S = 300.0  # … also of one that talks: a lost change is made good
_UNPROVEN_TRIES = 2  # each way once


class Verdict(Enum):
    """What to do."""

    FINE = auto()
    ASK = auto()  # for all states
    DEAF = auto()  # it heard before: open it anew
    DEAF_FROM_START = auto()  # open it anew, the other way
    IN_DOUBT = auto()  # it never heard: the other way may


@dataclass(slots=True)
class Hearing:
    """One camera's, over all its subscriptions. Times are monotonic seconds."""

    answers: bool = False  # it has told its states when asked, at least once
    _asked_s: float | None = None
    _synchronised_s: float = 0.0
    _heard_s: float = 0.0
    _unproven: int = 0
    _has_heard: bool = False  # this subscription

    def opened(self, now_s: float) -> None:
        """A new subscription: the camera was asked for all states just now."""
        self._asked_s = self._synchronised_s = self._heard_s = now_s
        self._has_heard = False

    def heard(self, now_s: float) -> None:
        """It told something."""
        self._heard_s, self._has_heard = now_s, True
        if self._asked_s is not None:
            self.answers, self._asked_s = True, None

    def look(self, now_s: float) -> Verdict:
        """Say what to do now."""
        if self._asked_s is not None:
            if now_s - self._asked_s < ANSWER_S:
                return Verdict.FINE
            self._asked_s = None
            if self.answers:
                return Verdict.DEAF if self._has_heard else Verdict.DEAF_FROM_START
            if self._unproven < _UNPROVEN_TRIES:
                self._unproven += 1
                return Verdict.IN_DOUBT
        is_quiet = now_s - max(self._heard_s, self._synchronised_s) >= QUIET_S
        if is_quiet or now_s - self._synchronised_s >= SYNCHRONISE_S:
            self._asked_s = self._synchronised_s = now_s
            return Verdict.ASK
        return Verdict.FINE
