"""Where one camera is, and whether what answers there is it. Core process.

Before a login goes out, what anybody shows is compared with what is known (in the threads of the
camera's lines); another one there is only believed to have been put in its place once ours was
looked for and not found, and may still turn up for a while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import structs

from agent.app.camera_search import EVERY_S, CameraSearch
from agent.cameras.address import device_service_url
from agent.cameras.identity import Match, contradicts, is_strange, match, merged, shares_key
from agent.cameras.port import CameraStranger, CameraUnreachable
from agent.cameras.recognition import open_identity

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.cameras.identity import Identity
    from agent.cameras.memory import CameraMemory
    from agent.cameras.soap import SoapLink
    from agent.core.clock import Clock
    from agent.core.errors import CameraError

STRANGER_EVERY_S = 5.0
RENAMED_SHARE = 3  # of that patience where only the endpoint id is another
LEAVE_S = 60.0  # a camera that restarts at its last address is not looked for at the given one
RETURN_S = 600.0  # so long one that was exchanged is still looked for: it may only have moved
_STRANGE = "another camera answers there"


class Whereabouts:
    """`given` is the address in the settings."""

    def __init__(
        self,
        clock: Clock,
        search: CameraSearch,
        remembered: Callable[[], CameraMemory],
        given: str,
    ) -> None:
        self._clock, self._search, self._remembered = clock, search, remembered
        self.address = self._given = device_service_url(given)
        self._away_since_s: float | None = None
        self._exchanged_mono_s: float | None = None
        self._search_due_mono_s = 0.0
        self._searched_for = ""  # the address where a stranger was met before the last search
        self._vouched_for = ""  # the address where the search found our camera
        self._stranger_since_s: float | None = None
        self._is_recognised = self._is_silent = self._is_contradicted = False

    @property
    def is_away(self) -> bool:
        """Whether our camera was not met where it should be."""
        return self._away_since_s is not None

    def last(self) -> str:
        """Return where to begin after a restart: where it was found last, for the same settings."""
        memory = self._remembered()
        return memory.url if memory.url and memory.given == self._given else self._given

    def told(self, given: str) -> str:
        """Take the settings' address over; return where to ask now."""
        if (url := device_service_url(given)) != self._given:
            self.address = self._given = url
        return self.address

    def lost(self) -> None:
        """It may be elsewhere."""
        if self._away_since_s is None:
            self._away_since_s = self._clock.monotonic_s()

    def found(self) -> None:
        """It was met."""
        self._away_since_s = None

    def has_said_goodbye(self) -> bool:
        """Say, once, whether it said that it goes."""
        known = self._remembered().identity
        return known is not None and self._search.has_left(known.epr)

    def failed(self, error: CameraError) -> None:
        """Note what came of asking: whoever is there may be somebody else."""
        self._is_silent = isinstance(error, CameraUnreachable)
        if isinstance(error, CameraStranger):
            self.lost()
            if self._stranger_since_s is None:
                self._stranger_since_s = self._clock.monotonic_s()
                self._search_due_mono_s = 0.0
            return
        if self._is_silent:
            self._forget_stranger()
        if self._is_silent or not (self._is_recognised or self._remembered().identity is None):
            self.lost()

    def _forget_stranger(self) -> None:
        self._searched_for, self._stranger_since_s = "", None

    def recognise(self, link: SoapLink) -> bool:
        """Look who is there before a login; `agent.cameras.door.Recognise`. In threads."""
        memory = self._remembered()
        known, address = memory.identity, link.device_url
        if known is None:
            return True
        seen = open_identity(link)
        self._is_recognised = shares_key(known, seen)
        self._is_contradicted = contradicts(known, seen)
        if not is_strange(known, seen):
            return True
        successor = memory.successor
        is_successor = successor is not None and not is_strange(successor, seen)
        if is_successor or address in (self._searched_for, self._vouched_for):
            return not self._is_contradicted
        raise CameraStranger(_STRANGE)

    def judge(self, seen: Identity) -> dict[str, Any]:
        """Compare with all that was told after the login; return what is to be remembered.

        Raises `CameraStranger` as long as ours was not looked for.
        """
        memory = self._remembered()
        known, successor = memory.identity, memory.successor
        here = {"url": self.address, "given": self._given}
        if known is None or match(known, seen) is Match.SAME:
            self._forget_stranger()
            self._vouched_for = ""
            whole = seen if known is None else merged(known, seen)
            if known is not None and known.epr and seen.epr and known.epr != seen.epr:
                whole = structs.replace(whole, renames_itself=True)
            returned = {"successor": None, "exchanged_at": None} if successor is not None else {}
            return {"identity": whole, **here, **returned}
        if successor is not None and match(successor, seen) is Match.SAME:
            return {"successor": merged(successor, seen), **here}
        if self.address not in (self._searched_for, self._vouched_for):
            self._is_contradicted = True
            raise CameraStranger(_STRANGE)
        self._exchanged_mono_s = self._clock.monotonic_s()
        at = self._clock.utc_now()
        return {"successor": seen, "exchanged_at": at, "settings": {}, **here}

    def search_is_due(self) -> bool:
        """Say whether to look around now."""
        if self._remembered().identity is None or not (self.is_away or self._may_return()):
            return False
        return self._clock.monotonic_s() >= self._search_due_mono_s or self._search.news.is_set()

    async def search(self) -> tuple[str | None, tuple[str, ...]]:
        """Look around; return where to ask next, if that is news, and where it might be."""
        every_s = EVERY_S if self._stranger_since_s is None else STRANGER_EVERY_S
        self._search_due_mono_s = self._clock.monotonic_s() + every_s
        memory, asked = self._remembered(), self.address
        candidates: list[str] = []
        for wanted in (memory.identity, memory.successor if self.is_away else None):
            if wanted is None:
                continue
            found, doubtful = await self._search.find(wanted, memory.url or asked)
            if found is not None:
                url = device_service_url(found.url)
                before, self._vouched_for = self._vouched_for, url
                return (None if before == url == asked else url), ()
            urls = (device_service_url(camera.url) for camera in doubtful)
            candidates += [url for url in urls if url != asked]
        return self._next(asked), tuple(dict.fromkeys(candidates))

    def _next(self, asked: str) -> str | None:
        """Return the other address it may be at, when it was not found by looking around."""
        if self._stranger_since_s is not None:
            if asked != self._given:
                return self._given
            patience_s = self._search.patience_s / (1 if self._is_contradicted else RENAMED_SHARE)
            if self._clock.monotonic_s() - self._stranger_since_s < patience_s:
                return None
            is_news, self._searched_for = self._searched_for != asked, asked
            return asked if is_news else None
        since_s = self._away_since_s
        if since_s is None or not self._is_silent or self._clock.monotonic_s() - since_s < LEAVE_S:
            return None
        other = self.last() if asked == self._given else self._given
        return other if other != asked else None

    def _may_return(self) -> bool:
        since_s = self._exchanged_mono_s
        return (
            since_s is not None
            and self._remembered().successor is not None
            and self._clock.monotonic_s() - since_s < RETURN_S
        )
