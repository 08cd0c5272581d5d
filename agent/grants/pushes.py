"""One push a camera, quality and relay, however many grants want it."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from msgspec import structs

from agent.contract.grants import Quality, What
from agent.core.errors import CameraError
from agent.grants.store import Given
from agent.messages.push import PushState, StartPush, StopPush

END_PATIENCE_S = 1.0
Send = Callable[[str, StartPush | StopPush], Awaitable[None]]


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """One showing of recorded video, under one grant; `ended` has how it went."""

    grant_id: str
    camera_id: str
    order: StartPush
    ended: asyncio.Future[PushState]


class Pushes:
    """Keeps the workers' pushes as the grants want them. `send` hands an order to a worker."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._running: dict[str, tuple[str, StartPush]] = {}  # by push id: camera, order
        self._grants: dict[str, list[Given]] = {}
        self._last: dict[str, PushState] = {}
        self._ended: dict[str, asyncio.Event] = {}
        self.called: dict[str, frozenset[str]] = {}  # by incident: its cameras just now
        self._played: dict[str, Played] = {}  # by push id
        self.lapsed: set[str] = set()  # wanted, and said to have ended; `follow` orders them anew

    def play(self, played: Played) -> None:
        """Want a push of recorded video, until it is dropped; `follow` comes next."""
        self._played[played.order.push_id] = played

    def drop(self, push_id: str) -> None:
        """Want a push of recorded video no longer; `follow` comes next."""
        self._played.pop(push_id, None)

    @property
    def count(self) -> int:
        """How many pushes are wanted just now."""
        return len(self._running)

    async def follow(self, holding: Iterable[Given]) -> None:
        """Start what is wanted and not there, change what differs, end what nobody wants."""
        wanted: dict[str, tuple[str, StartPush]] = {}
        grants: dict[str, list[Given]] = {}
        for given in sorted(holding, key=lambda one: one.until_mono_s):
            for camera_id, order in _orders(given):
                grant = given.grant
                if grant.on_call and camera_id not in self.called.get(grant.incident, ()):
                    continue
                push_id = order.push_id
                before = wanted.get(push_id, (camera_id, order))[1]
                # the one that lasts longest, the lowest limit
                joined = structs.replace(order, max_kbps=_lowest(order, before))
                wanted[push_id] = camera_id, joined
                grants.setdefault(push_id, []).append(given)
            for played in self._played.values():
                if played.grant_id == given.grant.id:
                    wanted[played.order.push_id] = played.camera_id, played.order
                    grants[played.order.push_id] = [given]
        gone = self._running.keys() - wanted.keys()
        changed = [key for key, value in wanted.items() if self._running.get(key) != value]
        changed += [key for key in self.lapsed & wanted.keys() if key not in changed]
        self.lapsed.clear()
        ended = [(push_id, self._running[push_id][0]) for push_id in gone]
        self._running = wanted
        # Who leaves is counted to the end: the grants of a push change after it has stopped.
        await asyncio.gather(*(self._end(push_id, camera) for push_id, camera in ended))
        self._grants = grants
        for push_id in changed:
            await self._try(*wanted[push_id])

    async def worker_came(self, camera_id: str) -> None:
        """Order again what a worker that has just begun cannot know."""
        for push_id, (camera, order) in tuple(self._running.items()):
            if camera == camera_id:
                self._last.pop(push_id, None)
                await self._try(camera, order)

    def told(self, state: PushState) -> None:
        """Count what a worker says to the grants that wanted it."""
        before = self._last.get(state.push_id, PushState(push_id=state.push_id))
        if state.bytes_total < before.bytes_total:
            before = PushState(push_id=state.push_id)
        for given in self._grants.get(state.push_id, ()):
            given.bytes += state.bytes_total - before.bytes_total
            given.stalls += max(0, state.stalls_total - before.stalls_total)
        self._last[state.push_id] = state
        if state.ended:
            self._last.pop(state.push_id, None)
            played = self._played.get(state.push_id)
            if played is not None and not played.ended.done():
                played.ended.set_result(state)
            if state.push_id in self._ended:
                self._ended[state.push_id].set()
            elif played is None and state.push_id in self._running:
                self.lapsed.add(state.push_id)

    async def _end(self, push_id: str, camera_id: str) -> None:
        said = self._ended.setdefault(push_id, asyncio.Event())
        try:
            await self._try(camera_id, StopPush(push_id=push_id))
            async with asyncio.timeout(END_PATIENCE_S):
                await said.wait()
        except TimeoutError:
            pass  # the worker ends it by its own deadline, or has died
        finally:
            self._ended.pop(push_id, None)
            self._last.pop(push_id, None)

    async def _try(self, camera_id: str, order: StartPush | StopPush) -> None:
        try:
            await self._send(camera_id, order)
        except CameraError:  # it is told when it comes
            if isinstance(order, StopPush) and order.push_id in self._ended:
                self._ended[order.push_id].set()


def _orders(given: Given) -> list[tuple[str, StartPush]]:
    grant = given.grant
    if What.LIVE not in grant.what or grant.sink is None:
        return []
    sink, limits = grant.sink, grant.limits
    orders = []
    for camera_id in grant.cameras:
        url = sink.url.replace("{camera}", camera_id)
        digest = hashlib.blake2b(url.encode(), digest_size=6).hexdigest()
        stream: Literal["main", "sub"] = "main" if limits.quality is Quality.MAIN else "sub"
        is_ladder = limits.quality is Quality.VEHICLE_LTE
        order = StartPush(
            push_id=f"{camera_id}-{limits.quality.value}-{digest}",
            is_ladder=is_ladder,
            stream=stream,
            url=url,
            token=sink.token,
            ca=sink.ca,
            until_mono_s=given.until_mono_s,
            max_kbps=limits.max_kbps,
        )
        orders.append((camera_id, order))
    return orders


def _lowest(*orders: StartPush) -> int:
    return min((order.max_kbps for order in orders if order.max_kbps), default=0)
