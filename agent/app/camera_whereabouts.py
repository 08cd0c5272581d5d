"""Where one camera is, and whether what answers there is it. Core process.

Before a login goes out, what anybody shows is compared with what is known (in the threads of the
camera's lines). Another one there gets none, however long ours is away, until a technician says
that it hangs in our camera's place now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import structs

from agent.app.camera_search import EVERY_S, CameraSearch
from agent.cameras.address import device_service_url
from agent.cameras.identity import Identity, Match, match, merged, weighed, without_macs
from agent.cameras.port import CameraStranger, CameraUnreachable
from agent.cameras.recognition import open_look
from agent.core.login_tries import BACK_OFF_S
from agent.core.shown import Shown, Verdict
from agent.messages.worker import Word

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.cameras.memory import CameraMemory
    from agent.cameras.soap import SoapLink
    from agent.core.clock import Clock
    from agent.core.errors import CameraError

# Where a stranger is, ours has moved: it is looked for often, until it should be there.
STRANGER_EVERY_S, STRANGER_NEW_S = 5.0, 120.0
BLANK_S = 30.0  # a camera that starts answers for a while before it says who it is
LEAVE_S = 60.0  # a camera that restarts at its last address is not looked for at the given one
_STRANGE = "another camera answers there"


class ShowsNothingYetError(CameraStranger):
    """What answers shows nothing: it gets no login, but is most likely our camera that starts."""

    camera_code = CameraUnreachable.camera_code
    advice = CameraUnreachable.advice
    may_retry = True


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
        self._search_due_mono_s = 0.0
        self._stranger_since_s: float | None = None
        self._strange_at = "", 0.0  # where a stranger was met last, and when
        self._shown = Shown()  # what was seen at the last look
        self._is_recognised = self._is_silent = False
        self._blank_since_s: float | None = None
        self._other: Shown | None = None  # what one showed who proved to be another
        self._other_mono_s = 0.0

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
            self._strange_at = self.address, self._clock.monotonic_s()
            if self._stranger_since_s is None:
                self._stranger_since_s = self._clock.monotonic_s()
                self._search_due_mono_s = 0.0
            return
        if self._is_silent:
            self._stranger_since_s = None
        if self._is_silent or not (self._is_recognised or self._remembered().identity is None):
            self.lost()

    def recognise(self, link: SoapLink, timeout_s: float) -> bool:
        """Look who is there before a login; `agent.cameras.door.Recognise`. In threads."""
        memory = self._remembered()
        self._shown = seen = open_look(link, timeout_s)
        self._is_recognised = False
        is_new_blank = self._is_new_blank(seen)
        if memory.identity is None:
            return True
        for known in (memory.identity, memory.successor):
            verdict = self._weighed(known, seen)
            if verdict is Verdict.UNPROVEN and self._was_another(seen):
                continue
            if verdict is not Verdict.STRANGER:
                self._is_recognised = verdict is not Verdict.UNPROVEN
                return verdict is not Verdict.NAMELESS
        if is_new_blank:
            raise ShowsNothingYetError("what answers there does not say yet who it is")
        raise CameraStranger(_STRANGE)

    def word_of(self, link: SoapLink, timeout_s: float) -> Word:
        """Say who is there, for the camera's other lines. Raises `CameraFailure`. In threads."""
        memory = self._remembered()
        if memory.identity is None:
            return Word.UNKNOWN
        seen = open_look(link, timeout_s)
        verdicts = {self._weighed(known, seen) for known in (memory.identity, memory.successor)}
        if verdicts & {Verdict.OURS, Verdict.NAMELESS}:
            return Word.OURS
        is_open = Verdict.UNPROVEN in verdicts and not self._was_another(seen)
        return Word.UNKNOWN if is_open or self._is_blank(seen) else Word.STRANGER

    def _is_blank(self, seen: Shown) -> bool:
        """Say whether nothing is shown but the MAC address of ours, or none."""
        known = self._remembered().identity
        of_ours = ("",) if known is None else ("", known.shown.mac)
        return not (seen.epr or seen.realm or seen.fingerprint) and seen.mac in of_ours

    def _is_new_blank(self, seen: Shown) -> bool:
        now_s = self._clock.monotonic_s()
        if not self._is_blank(seen):
            self._blank_since_s = None
            return False
        self._blank_since_s = now_s if self._blank_since_s is None else self._blank_since_s
        return now_s - self._blank_since_s < BLANK_S

    def _was_another(self, seen: Shown) -> bool:
        """Say whether one who shows just this proved to be another, after a login, lately."""
        told_s = self._clock.monotonic_s() - self._other_mono_s
        return seen == self._other and told_s < BACK_OFF_S

    def _weighed(self, known: Identity | None, seen: Shown) -> Verdict:
        if known is None:
            return Verdict.STRANGER
        return weighed(known, seen, self._search.shared_macs)

    def judge(self, told: Identity) -> dict[str, Any]:
        """Compare with all that was told after the login; return what is to be remembered.

        Raises `CameraStranger`.
        """
        memory, shared = self._remembered(), self._search.shared_macs
        known, successor = memory.identity, memory.successor
        seen = structs.replace(without_macs(told, shared), shown=self._shown)
        here = {"url": self.address, "given": self._given}
        if known is None or match(without_macs(known, shared), seen) is Match.SAME:
            whole = structs.replace(told, shown=self._shown)
            if known is not None:
                whole = merged(known, whole)
                is_renamed = bool(known.epr and seen.epr) and known.epr != seen.epr
                whole = structs.replace(whole, renames_itself=known.renames_itself or is_renamed)
            self._stranger_since_s = None
            returned = {"successor": None, "exchanged_at": None} if successor is not None else {}
            return {"identity": whole, **here, **returned}
        if successor is not None and (
            not successor.is_met or match(without_macs(successor, shared), seen) is Match.SAME
        ):
            self._stranger_since_s = None
            whole = structs.replace(told, shown=self._shown)
            return {"successor": merged(successor, whole), **here}
        self._is_recognised = False
        self._other, self._other_mono_s = self._shown, self._clock.monotonic_s()
        raise CameraStranger(_STRANGE)

    def confirmed(self) -> dict[str, Any]:
        """A technician says that who was met last hangs here now; return what to remember."""
        self._stranger_since_s = self._other = None
        new = Identity(epr=self._shown.epr, shown=self._shown)
        at = self._clock.utc_now()
        return {"successor": new, "exchanged_at": at, "settings": {}, "login_by": ""}

    def search_is_due(self) -> bool:
        """Say whether to look around now."""
        if self._remembered().identity is None or not self.is_away:
            return False
        return self._clock.monotonic_s() >= self._search_due_mono_s or self._search.news.is_set()

    async def search(self) -> tuple[str | None, tuple[str, ...]]:
        """Look around; return where to ask next, if that is news, and where it might be."""
        now_s, since_s = self._clock.monotonic_s(), self._stranger_since_s
        is_new = since_s is not None and now_s - since_s < STRANGER_NEW_S
        self._search_due_mono_s = now_s + (STRANGER_EVERY_S if is_new else EVERY_S)
        memory, asked = self._remembered(), self.address
        wanted = memory.successor or memory.identity
        if wanted is None:
            return None, ()
        found, doubtful = await self._search.find(wanted, memory.url or asked)
        if found is not None:
            url = device_service_url(found.url)
            where, met_s = self._strange_at
            if url != where or now_s - met_s > LEAVE_S:
                return url, ()
            doubtful = (found,)
        urls = (device_service_url(camera.url) for camera in doubtful)
        return self._next(asked), tuple(dict.fromkeys(url for url in urls if url != asked))

    def _next(self, asked: str) -> str | None:
        """Return the other address it may be at, when it was not found by looking around."""
        if self._stranger_since_s is not None:
            return self._given if asked != self._given else None
        since_s = self._away_since_s
        if since_s is None or not self._is_silent or self._clock.monotonic_s() - since_s < LEAVE_S:
            return None
        other = self.last() if asked == self._given else self._given
        return other if other != asked else None
