"""A thread that keeps one camera's events flowing, whatever the camera does meanwhile.

A cut connection is an empty pull: the subscription is resumed, not doubled. What faults is closed
and opened anew, with a back-off; so is what has gone deaf (`agent.cameras.hearing`). One that a
crash left behind is closed first. Core process.
"""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import structs

from agent.cameras.event_trees import wanted_trees
from agent.cameras.hearing import Hearing, Verdict
from agent.cameras.line import OnvifLine, Service
from agent.cameras.notifications import Notification
from agent.cameras.port import (
    CameraBadResponse,
    CameraCertificate,
    CameraClockSkew,
    CameraFailure,
    CameraLockedOut,
    CameraNotSupported,
    CameraUnreachable,
    CameraUnsettled,
    CameraWrongPassword,
)
from agent.cameras.pull_point import LIFETIME_S, PullPoint, Reference
from agent.cameras.push_point import PushPoint
from agent.cameras.quirks import Quirks
from agent.cameras.xml_text import attribute, everywhere, is_true
from agent.core.clock import Clock, wait_s
from agent.core.errors import CameraError
from agent.core.log import get
from agent.core.retry import Backoff

_FIRST_S, _LAST_S = 0.5, 7.0  # with the spread at most 9 s: events again within 15 s
_SELDOM_S = 300.0
_REMEMBER_S = 900.0  # how often the disk is told that the subscription goes on
_BUSY_PAUSE_S = 0.2
_LOGIN_LOOK_S = 0.5
_OF_THE_CAMERA = {
    kind.camera_code
    for kind in (
        *(CameraUnreachable, CameraCertificate, CameraWrongPassword),
        *(CameraLockedOut, CameraClockSkew),
    )
}
_CUTS = 2  # so many in a row, and the camera counts as away


class Point(Protocol):
    """A subscription as the feed needs it; see `agent.cameras.pull_point`."""

    reference: Reference

    def pull(self, wait_s: float) -> tuple[Notification, ...]:
        """Wait for news."""
        ...

    def keep(self) -> None:
        """Renew if due."""
        ...

    def synchronise(self) -> None:
        """Have all states told again."""
        ...

    def close(self) -> None:
        """Unsubscribe."""
        ...


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """How the events of one camera flow. `code` says why not; None while they do."""

    is_live: bool = False
    code: str | None = "camera.events_starting"
    since: datetime | None = None
    opened_total: int = 0
    pulls_total: int = 0
    messages_total: int = 0

    @property
    def is_shut_out(self) -> bool:
        """Whether the camera as a whole keeps us out, not its events alone."""
        return self.code in _OF_THE_CAMERA


class EventFeed:
    """Runs until `stop`; hands on messages with the moment they came.

    `topics` are trees to hear of; none: all; None: all that we did not cause ourselves, where the
    camera knows how to leave those out. `remember` keeps the reference (None: there is none) where
    the next process finds it as `left`.
    """

    def __init__(
        self,
        line: OnvifLine,
        clock: Clock,
        deliver: Callable[[tuple[Notification, ...]], None],
        *,
        remember: Callable[[Reference | None], None] = lambda _: None,
        left: Reference | None = None,
        topics: tuple[str, ...] | None = (),
        quirks: Quirks | None = None,
        pull_s: float | None = None,
        open_point: Callable[[], Point] | None = None,
    ) -> None:
        self._line, self._clock, self._deliver = line, clock, deliver
        self._remember, self._left = remember, left
        self._quirks = quirks or Quirks()
        self._pull_s = pull_s or self._quirks.pull_s
        self._open = open_point or self._pull_or_push
        self._hearing = Hearing()
        self._push_first, self._is_deaf = self._quirks.push_first, False
        self._topics, self._picks = topics, topics is None
        self._backoff = Backoff(_FIRST_S, _LAST_S)
        self._point: Point | None = None
        self._cuts = self._busy = 0
        self._remembered_mono_s = 0.0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._log = get("cameras.events")
        self.status = FeedStatus()

    def start(self) -> None:
        """Begin in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="camera-events", daemon=True)
        self._thread.start()

    def stop(self, wait: float = 0.0) -> None:
        """End; the subscription is given back. Waits up to `wait` seconds for that."""
        self._stop.set()
        if self._point is not None:  # the thread may wait for news for long: ended from beside it
            threading.Thread(
                target=self._close_point, name="camera-events-end", daemon=True
            ).start()
        if self._thread is not None and wait:
            self._thread.join(wait)

    def _run(self) -> None:
        self._close_left()
        while not self._stop.is_set():
            try:
                pause_s = self._step()
            except Exception as error:  # noqa: BLE001  one odd message must not end the feed
                self._log.error("event feed broke", exc_info=error)
                pause_s = self._backoff.next_s()
            if pause_s:
                wait_s(self._stop, pause_s)
        self._end()

    def _end(self) -> None:
        self._close_point()
        self._line.close()

    def _step(self) -> float:
        """Open, pull or heal; return how long to pause."""
        try:
            if self._point is None:
                self._subscribe()
            return self._pull()
        except CameraUnreachable as error:
            return self._was_cut(error)
        except CameraNotSupported as error:
            self._close_point()
            self._tell(error)
            return _SELDOM_S
        except CameraUnsettled as error:
            self._tell(error)
            return self._backoff.next_s()
        except CameraWrongPassword as error:
            self._tell(error)
            return self._until_new_login()
        except CameraFailure as error:
            was_away, self._cuts = self._cuts > 0, 0
            if not was_away:  # after an absence its id may be somebody else's: not ours to close
                self._close_point()
            self._forget_point()
            self._tell(error)
            return 0.0 if was_away else self._backoff.next_s()  # back, and knows us no more: anew

    def _until_new_login(self) -> float:
        """A refused login is only worth trying when it was changed; else after its back-off."""
        door = self._line.link.door
        key, until_s = door.key, self._clock.monotonic_s() + _SELDOM_S / 5
        while door.key is key and self._clock.monotonic_s() < until_s:
            if wait_s(self._stop, _LOGIN_LOOK_S):
                break
        return 0.0

    def _subscribe(self) -> None:
        if not self._line.has(Service.EVENTS):
            raise CameraNotSupported("the camera tells no events")
        self._point = self._open()
        self._remember_on(self._point)
        self._hearing.opened(self._clock.monotonic_s())
        self.status = replace(
            self.status,
            is_live=not self._is_deaf,
            code=self.status.code if self._is_deaf else None,
            since=self._clock.utc_now(),
            opened_total=self.status.opened_total + 1,
        )

    def _pull_or_push(self) -> Point:
        """Ask for news; where that is not known, or deaf, have the camera tell them."""
        ways: list[type[PullPoint]] = [PullPoint, PushPoint]
        if self._push_first:
            ways.reverse()
        try:
            return self._open_way(ways[0])
        except CameraNotSupported:
            self._push_first = False
            return self._open_way(ways[1])

    def _open_way(self, way: type[PullPoint]) -> Point:
        """Open with the filter; one of our own making is given up where it is refused or cut."""
        if self._topics is None:
            self._topics = ()
            with contextlib.suppress(CameraNotSupported, CameraBadResponse):
                self._topics = wanted_trees(self._line)
        try:
            return way.open(self._line, self._clock, topics=self._topics)
        except (CameraNotSupported, CameraBadResponse):
            if not self._picks or not self._topics:
                raise
        except CameraUnreachable:
            if self._picks:
                self._topics = ()  # it may be the filter that it cuts the connection on
            raise
        self._topics = ()
        return way.open(self._line, self._clock, topics=())

    def _pull(self) -> float:
        point = self._point
        if point is None:  # closed from beside
            return _BUSY_PAUSE_S
        asked_mono_s = self._clock.monotonic_s()
        messages = point.pull(self._pull_s)
        self._cuts = 0
        if messages:
            self._is_deaf = False
            self._hearing.heard(self._clock.monotonic_s())
        if not self._is_deaf:
            self._backoff.reset()
        now, is_live = self.status, not self._is_deaf
        self.status = replace(
            now,
            is_live=is_live,
            code=None if is_live else now.code,
            since=now.since if now.is_live or not is_live else self._clock.utc_now(),
            pulls_total=now.pulls_total + 1,
            messages_total=now.messages_total + len(messages),
        )
        if messages:  # after the status: who hears them must not find the camera away
            self._deliver(messages)
        self._keep(point)
        took_s = self._clock.monotonic_s() - asked_mono_s
        self._busy = self._busy + 1 if took_s < _BUSY_PAUSE_S else 0
        # The first of a row is taken at once; a storm, or a camera that does not wait, is gathered.
        return 0.0 if self._busy < 2 else _BUSY_PAUSE_S

    def _remember_on(self, point: Point) -> None:
        """Tell the disk where the subscription is, and until when it may live at most."""
        self._remembered_mono_s = self._clock.monotonic_s()
        until = self._clock.utc_now() + timedelta(seconds=_REMEMBER_S + 2 * LIFETIME_S)
        self._remember(structs.replace(point.reference, until=until))

    def _keep(self, point: Point) -> None:
        if self._clock.monotonic_s() - self._remembered_mono_s > _REMEMBER_S:
            self._remember_on(point)
        if not self._quirks.no_renew:
            with contextlib.suppress(CameraNotSupported, CameraBadResponse):  # pulling keeps it too
                point.keep()
        self._listen(point)

    def _listen(self, point: Point) -> None:
        """Have the camera tell all states when it was silent for long; open anew what is deaf."""
        verdict = self._hearing.look(self._clock.monotonic_s())
        if verdict is Verdict.ASK:
            with contextlib.suppress(CameraNotSupported, CameraBadResponse):
                point.synchronise()
            return
        if verdict is Verdict.FINE or (verdict is Verdict.IN_DOUBT and not self._has_states()):
            return
        self._is_deaf = verdict is not Verdict.IN_DOUBT
        if self._picks:
            self._topics = ()  # it may have understood the filter otherwise than we
        if verdict is not Verdict.DEAF:
            self._push_first = not self._push_first
        raise CameraBadResponse("the camera keeps the subscription and tells nothing")

    def _has_states(self) -> bool:
        """Say whether the camera lists topics whose state it must tell when asked."""
        try:
            answer = self._line.ask(Service.EVENTS, "<tev:GetEventProperties/>")
        except (CameraNotSupported, CameraBadResponse):
            return False
        return any(
            is_true(attribute(told, "IsProperty"))
            for told in everywhere(answer, "MessageDescription")
        )

    def _was_cut(self, error: CameraUnreachable) -> float:
        self._cuts += 1
        if self._cuts < _CUTS and self._point is not None:
            return _BUSY_PAUSE_S  # some cut every idle connection: an empty pull, no more
        self._tell(error)
        return self._backoff.next_s()

    def _tell(self, error: CameraError) -> None:
        if self.status.is_live or self.status.code != error.code:
            self._log.warning("no events", code=error.code, why=error.message)
            self.status = replace(
                self.status, is_live=False, code=error.code, since=self._clock.utc_now()
            )

    def _close_left(self) -> None:
        """Close what an earlier process opened and could not close."""
        left = self._left
        if left is None or (left.until is not None and left.until < self._clock.utc_now()):
            return
        with contextlib.suppress(CameraError):
            PullPoint(self._line, left, self._clock).close()
        self._remember(None)

    def _close_point(self) -> None:
        point = self._point
        if point is not None:
            with contextlib.suppress(CameraError):
                point.close()
            self._forget_point()

    def _forget_point(self) -> None:
        if self._point is not None:
            self._point = None
            self._remember(None)
