"""Who is signed in just now: in memory, so a restart of the core signs everybody out.

The browser holds a random token; here is only its SHA-256.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from agent.core.clock import Clock
from agent.local.access.people import Person

IDLE_S, LONGEST_S = 3600.0, 12 * 3600.0
_MOST = 32


@dataclass(slots=True)
class Session:
    """`csrf` must come with each order: another site's page can't know it."""

    person: Person
    began_s: float
    seen_s: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    viewed: set[str] = field(default_factory=set)  # cameras whose first view is in the chain

    def knows(self, csrf: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.csrf.encode(), csrf.encode())


class Sessions:
    """Used by one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[str, Session] = {}

    def begin(self, person: Person) -> str:
        """Return the new session's token; beyond the limit the one longest unused ends."""
        now_s = self._clock.monotonic_s()
        if len(self._open) >= _MOST:
            del self._open[min(self._open, key=lambda key: self._open[key].seen_s)]
        token = secrets.token_urlsafe(32)
        self._open[_key(token)] = Session(person, now_s, now_s)
        return token

    def find(self, token: str) -> Session | None:
        """Return the session of a token, if it still lasts."""
        session, now_s = self._open.get(_key(token)), self._clock.monotonic_s()
        if session is None:
            return None
        if now_s - session.seen_s > IDLE_S or now_s - session.began_s > LONGEST_S:
            del self._open[_key(token)]
            return None
        session.seen_s = now_s
        return session

    def end(self, token: str) -> None:
        """Sign out."""
        self._open.pop(_key(token), None)

    def end_of(self, name: str) -> None:
        """Sign a person out wherever he is."""
        self._open = {key: one for key, one in self._open.items() if one.person.name != name}


def _key(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
