"""One incident session on this box: which cameras are called up, and what each does meanwhile.

A camera that is called up keeps its last minute and what follows; where it is allowed it turns to
the place under a lease, and its live picture goes to whom a grant names. All of it ends with the
session, or when the place has moved on.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from msgspec import structs

from agent.commands.aim import Aimer
from agent.commands.incident_store import Kept, KeptLock
from agent.commands.ptz_lease import Leases
from agent.contract.commands import Command, Ping
from agent.contract.events import CapStatus, TimeQuality
from agent.contract.grants import Audience, What
from agent.contract.incidents import IncidentCall, IncidentKind
from agent.contract.ptz_args import PtzPurpose
from agent.core import log
from agent.core.clock import Clock
from agent.core.errors import PolesideError
from agent.messages import locking
from agent.pointing.course import Course, arrivals, is_news, neighbours, nexts, wanted
from agent.pointing.footprint import View, candidates
from agent.pointing.geodesy import Place

AHEAD_S = 9.0  # a camera is called up so long before somebody comes into its view
LINGER_S = 3.0
KEEP_BEFORE_S = 60.0
KEEP = timedelta(days=7)
MOST_STILL = 3  # cameras called up for a place that does not move
_TURN_M, _AREA_M = 2.0, 12.0
_LOOK_S, _AGAIN_S, _BETTER_S, _END_S = 0.25, 1.0, 5.0, 5.0
_RARELY_S = 30.0


class World(Protocol):
    """What a session needs of the box."""

    clock: Clock
    leases: Leases
    aimer: Aimer

    def views(self, by: IncidentCall) -> list[View]: ...

    def may(self, call: IncidentCall, what: What, camera_id: str) -> bool: ...

    async def lock(self, camera_id: str, order: locking.LockOrder) -> None: ...

    async def keep(self, session: "Session") -> None: ...

    async def changed(self, session: "Session") -> None: ...


@dataclass(slots=True)
class CalledUp:
    """One camera at work. `look_at` may change; `work` ends when it is let go."""

    look_at: Place
    wanted_s: float
    lock: KeptLock
    is_aimed: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)
    work: asyncio.Task[None] | None = None


class Session:
    """One session. `update` takes each word about it; `step` is asked once or twice a second."""

    def __init__(
        self, world: World, call: IncidentCall, box: str, kept: Kept | None = None, boot: str = ""
    ) -> None:
        """Begin, or go on as it was `kept` before the agent began."""
        self._world, self._box, self._boot = world, box, boot
        self.call = call
        self.cameras: dict[str, CalledUp] = {}
        self.nexts: tuple[str, ...] = ()  # of other boxes, as "box/camera"
        self._course = Course([Place(lat, lon, self._height()) for lat, lon in call.route])
        self.began_at = world.clock.utc_now()
        self._until_s = 0.0
        self._heard_s = world.clock.monotonic_s()
        self._count, self._before = 0, tuple[KeptLock, ...]()
        self._tidying: asyncio.Task[None] | None = None
        self._ended_at: datetime | None = None
        self.is_lost = self._is_unsure = False
        self._log = log.get("incident")
        self.update(call)
        if kept is not None:
            self._until_s, self.began_at = kept.until_s(boot, world.clock), kept.began_at
            self._is_unsure = kept.boot != boot
            self._count, self._before = kept.count, kept.locks
            self._ended_at = kept.ended_at

    def update(self, call: IncidentCall) -> None:
        """Take a newer word of the same session; one that only hands over is no sight of it."""
        now_s, before = self._world.clock.monotonic_s(), self.call
        is_sight = call.also == before.also or (call.lat, call.lon) != (before.lat, before.lon)
        self.call, self._is_unsure = call, False
        lasts_s = call.exp - self._world.clock.utc_now().timestamp()
        self._until_s = now_s + lasts_s
        if is_sight:
            self._heard_s, self.is_lost = now_s, False
            self._course.heard(now_s, Place(call.lat, call.lon, self._height()))

    def kept(self) -> Kept:
        """Return what it takes to go on after a kill."""
        called = tuple(known.lock for known in self.cameras.values())
        return Kept(
            call=structs.replace(self.call, grants=()),
            boot=self._boot,
            until_mono_s=self._until_s,
            left_s=self._until_s - self._world.clock.monotonic_s(),
            began_at=self.began_at,
            count=self._count,
            locks=(*self._before, *called),
            ended_at=self._ended_at,
        )

    @property
    def place(self) -> Place:
        """Where it is, as far as the box was told."""
        return self._course.place

    @property
    def is_over(self) -> bool:
        """Whether it was ended, or nobody prolonged it."""
        clock = self._world.clock
        knows = self._is_unsure and clock.quality() is not TimeQuality.UNSYNCED  # by now
        is_past = knows and clock.utc_now().timestamp() >= self.call.exp
        return self.call.ended or is_past or clock.monotonic_s() >= self._until_s

    async def step(self, tasks: asyncio.TaskGroup) -> None:
        """Call up who is needed now, let go who is not."""
        now_s, views = self._world.clock.monotonic_s(), self._world.views(self.call)
        changed = self._look_for_loss(now_s) | self._look_for_nexts(views)
        if self._before and (self._tidying is None or self._tidying.done()):
            self._tidying = tasks.create_task(self.tidy())
        new: dict[str, CalledUp] = {}
        for camera_id, place in self.wanted_by(views).items():
            known = self.cameras.get(camera_id)
            if known is None:
                known = CalledUp(place, now_s, self._new_lock(camera_id))
                self.cameras[camera_id] = known
                new[camera_id], changed = known, True
            known.wanted_s = now_s
            if is_news(place, known.look_at, _TURN_M):
                known.look_at = place
                known.news.set()
        if new:
            await self._world.keep(self)  # no lock goes out that a kill would let be forgotten
        for camera_id, known in new.items():
            known.work = tasks.create_task(self._work(camera_id, known))
        for camera_id, known in tuple(self.cameras.items()):
            if now_s - known.wanted_s > LINGER_S:
                self._let_go(camera_id)
                changed = True
        if changed:
            await self._world.changed(self)

    async def end(self) -> None:
        """Let all cameras go; they are free when this returns. What they keep `tidy` sees to."""
        self._ended_at = self._world.clock.utc_now()
        if self._tidying is not None:
            self._tidying.cancel()
        works = [known.work for known in self.cameras.values() if known.work is not None]
        for camera_id in tuple(self.cameras):
            self._let_go(camera_id)
        if works:
            await asyncio.wait(works, timeout=_END_S)

    def _new_lock(self, camera_id: str) -> KeptLock:
        self._count += 1
        since = self._world.clock.utc_now() - timedelta(seconds=KEEP_BEFORE_S)
        return KeptLock(lock_id=f"{self.call.id}-{self._count}", camera_id=camera_id, since=since)

    async def tidy(self) -> None:
        """Keep what cameras that were let go have seen, once their workers are there to hear it."""
        clock, again_s = self._world.clock, _AGAIN_S
        ended_at = self._ended_at or clock.utc_now()  # what was locked is free in a week anyway
        until_s = clock.monotonic_s() + (ended_at + KEEP - clock.utc_now()).total_seconds()
        while self._before and clock.monotonic_s() < until_s:
            lock = self._before[0]
            is_done = await self._shorten(lock)
            self._before = self._before[1:] if is_done else (*self._before[1:], lock)
            if not is_done:
                await clock.sleep_s(again_s)
                again_s = min(_RARELY_S, again_s * 1.2)

    def _look_for_loss(self, now_s: float) -> bool:
        is_lost = self.call.follow and now_s - self._heard_s > self.call.silence_s
        was_lost, self.is_lost = self.is_lost, is_lost
        return is_lost != was_lost

    def _look_for_nexts(self, views: list[View]) -> bool:
        """Name those of other boxes that are made ready next; say whether they changed."""
        around_m, before = self.call.radius_m + self.call.accuracy_m, self.nexts
        here = nexts(views, self.place, around_m) if self.call.follow else ()
        self.nexts = tuple(one for one in here if "/" in one)
        return self.nexts != before

    def wanted_by(self, views: list[View]) -> dict[str, Place]:
        """Return which cameras it wants now, and where each should look."""
        around_m = self.call.radius_m + self.call.accuracy_m
        if self.call.follow:
            own = f"{self._box}/"
            handed = [one.removeprefix(own) for one in self.call.also if one.startswith(own)]
            near = arrivals(views, self.place, handed)
            near |= neighbours(views, self.place, around_m)
            if self.is_lost:  # who saw it last goes on looking there
                last = (one for one in self.cameras if one not in near)
                return near | dict.fromkeys(last, self.place)
            return near | wanted(views, self._course, around_m, AHEAD_S, self.cameras)
        best = candidates(views, self.place, around_m)[:MOST_STILL]
        return {one.camera_id: self.place for one in best}

    async def _work(self, camera_id: str, known: CalledUp) -> None:
        clock = self._world.clock
        ends = clock.utc_now() + timedelta(seconds=self._until_s - clock.monotonic_s())
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._lock_surely(known.lock, ends))
            await self._look(camera_id, known)

    async def _look(self, camera_id: str, known: CalledUp) -> None:
        """Hold the camera and turn it, again after somebody more important had it."""
        while True:
            again_s = _AGAIN_S
            if self._may_turn(camera_id):
                try:
                    await self._hold(camera_id, known)
                except PolesideError as error:
                    self._log.info("camera not turned", camera=camera_id, code=error.code)
                    if error.code != "ptz.taken":  # only another place changes it
                        again_s = _BETTER_S
            known.is_aimed = False
            known.news.clear()
            await _news(known, again_s)

    def _may_turn(self, camera_id: str) -> bool:
        return camera_id in self._world.aimer.movable() and self._world.may(
            self.call, What.PTZ, camera_id
        )

    async def _hold(self, camera_id: str, known: CalledUp) -> None:
        leases, left_s = self._world.leases, self._until_s - self._world.clock.monotonic_s()
        command = as_command(self.call, self._box)
        purpose = purpose_of(self.call)
        lease = leases.claim(command, camera_id, purpose, 5, left_s, waits=True)
        async with leases.held(lease):
            while not lease.ended.done() and self._may_turn(camera_id):
                known.news.clear()
                await self._world.aimer.aim(
                    camera_id,
                    known.look_at,
                    max(_AREA_M, 2 * self.call.radius_m + 2 * self.call.accuracy_m),
                    has_height=self.call.height_m is not None,
                )
                if not known.is_aimed:
                    known.is_aimed = True
                    await self._world.changed(self)
                await _news(known, _LOOK_S)

    def _let_go(self, camera_id: str) -> None:
        known = self.cameras.pop(camera_id)
        self._before = (*self._before, known.lock)
        if known.work is not None:
            known.work.cancel()

    async def _lock_surely(self, lock: KeptLock, until: datetime) -> None:
        while not await self._lock(lock.camera_id, lock.lock_id, lock.since, until):
            await self._world.clock.sleep_s(_AGAIN_S)  # the camera's worker may just have begun

    async def _lock(self, camera_id: str, lock_id: str, since: datetime, until: datetime) -> bool:
        order = locking.LockSpan(
            request_id=lock_id,
            lock_id=lock_id,
            since=since,
            until=until,
            incident_id=self.call.incident,
            approver=self.call.by.user,
            expires_at=self._world.clock.utc_now() + KEEP,
        )
        try:
            await self._world.lock(camera_id, order)
        except PolesideError as error:
            self._log.warning("last minute not kept", camera=camera_id, code=error.code)
            return False
        return True

    async def _shorten(self, lock: KeptLock) -> bool:
        """Keep what was seen, and no more; say whether the worker has taken that."""
        ended_at = self._ended_at or self._world.clock.utc_now()
        own_end = datetime.fromtimestamp(self.call.exp, UTC)
        until = min(ended_at, own_end) + timedelta(seconds=1)
        camera_id, lock_id = lock.camera_id, lock.lock_id
        if not await self._lock(camera_id, f"{lock_id}-seen", lock.since, until):
            return False
        gone = locking.Unlock(request_id=f"{lock_id}-end", lock_id=lock_id, by="box")
        try:
            await self._world.lock(camera_id, gone)
        except PolesideError as error:
            self._log.warning("lock not ended", camera=camera_id, code=error.code)
        return True

    def _height(self) -> float:
        return self.call.height_m or 0.0


def purpose_of(call: IncidentCall) -> PtzPurpose:
    """Return how much this session weighs when several want one camera."""
    if call.status is CapStatus.EXERCISE:
        return "exercise"
    if call.audience == Audience.POLICE_ROOM:
        return "manual-112"
    if call.audience == Audience.FIRE_ROOM:
        return "119"
    return "disaster" if call.kind == IncidentKind.FLOOD else "operator"


def as_command(call: IncidentCall, box: str) -> Command:
    """Return the order that a call stands for, on this box."""
    return Command(
        id=call.id,
        args=Ping(),
        box=box,
        by=call.by,
        iat=call.iat,
        nbf=call.iat,
        exp=call.exp,
        iss=call.iss,
    )


async def _news(known: CalledUp, within_s: float) -> None:
    """Wait for another place to look at, or a while."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await known.news.wait()
