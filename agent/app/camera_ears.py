"""What a camera tells by itself becomes hits and bell calls. Runs in the core process.

A thread hears (`agent.cameras.event_feed`); the meaning is found here, in the event loop, so that
hits leave in order. Bells take the same way as those of the pole (`agent.pole.heard_bells`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from agent.cameras.camera_states import CameraHit, CameraStates, Turn, rule_of
from agent.cameras.event_feed import EventFeed, FeedStatus
from agent.cameras.line import OnvifLine
from agent.cameras.notifications import Notification
from agent.cameras.port import DeviceFacts
from agent.cameras.pull_point import Reference
from agent.cameras.quirks import quirks_of
from agent.contract.events import EventKind, Source
from agent.core import log
from agent.core.clock import Clock
from agent.core.errors import PolesideError
from agent.core.ids import new_ulid
from agent.messages.vision import HitState, RuleHit
from agent.pole.heard_bells import HeardBells
from agent.settings.model import CameraSettings

_MOST_WAITING = 2_000
_AWAY_S = 30.0
_TICK_S = 1.0
_STATES = {
    Turn.BEGAN: HitState.BEGAN,
    Turn.GOES_ON: HitState.CONTINUES,
    Turn.ENDED: HitState.ENDED,
}

TakeHit = Callable[[RuleHit], Awaitable[object]]


class CameraEars:
    """One camera's events."""

    def __init__(
        self,
        camera: CameraSettings,
        line: OnvifLine,
        take: TakeHit,
        bells: HeardBells,
        clock: Clock,
        *,
        device: DeviceFacts,
        remember: Callable[[Reference | None], None],
        left: Reference | None,
        data_dir: Path | None = None,
    ) -> None:
        self._camera, self._take, self._bells, self._clock = camera, take, bells, clock
        self._model = f"{device.manufacturer} {device.model}".strip()
        quirks = quirks_of(device.manufacturer, device.model, device.firmware, data_dir)
        self._log = log.get("camera-ears")
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Queue[Notification] = asyncio.Queue(_MOST_WAITING)
        self._own_of = {closed: own for own, closed in camera.bell_closed_inputs.items()}
        self.states = CameraStates(frozenset(camera.bell_inputs) | self._own_of.keys())
        self.dropped_total = 0
        has_bells = bool(camera.bell_inputs or camera.bell_closed_inputs)
        self._feed = EventFeed(
            line,
            clock,
            self._heard,
            remember=remember,
            left=left,
            quirks=quirks,
            topics=() if has_bells else None,  # no bell hangs on how a camera reads a filter
        )

    @property
    def status(self) -> FeedStatus:
        """How the events flow."""
        return self._feed.status

    async def run(self) -> None:
        """Hear until cancelled; the subscription is given back."""
        self._feed.start()
        away_since_s: float | None = None
        named = set(self._camera.bell_inputs) - {"*"}
        any_other = "*" in self._camera.bell_inputs
        bells = {_bell(each) for each in named}
        self._bells.expect(self._camera.camera_id, bells, any_other=any_other)
        try:
            while True:
                messages = await self._some()
                for message in messages:
                    hit = self.states.take(message, self._clock.monotonic_s())
                    self._hear_bell(message)
                    await self._tell(hit)
                now_s = self._clock.monotonic_s()
                for hit in self.states.tick(now_s):
                    await self._tell(hit)
                if messages or self._feed.status.is_live:
                    away_since_s = None
                    continue
                away_since_s = now_s if away_since_s is None else away_since_s
                if now_s - away_since_s >= _AWAY_S:
                    self._bells.lost(self._camera.camera_id)
                    for hit in self.states.lost():
                        await self._tell(hit)
        finally:
            self._bells.lost(self._camera.camera_id)
            self._feed.stop()

    def _heard(self, messages: tuple[Notification, ...]) -> None:
        with suppress(RuntimeError):  # the loop is over: so are we
            self._loop.call_soon_threadsafe(self._put, messages)

    def _put(self, messages: tuple[Notification, ...]) -> None:
        for message in messages:
            if self._waiting.full():
                self._waiting.get_nowait()
                self.dropped_total += 1
            self._waiting.put_nowait(message)

    async def _some(self) -> list[Notification]:
        """Wait for messages, a tick at most; return all there are."""
        some = []
        with suppress(TimeoutError):
            async with asyncio.timeout(_TICK_S):
                some.append(await self._waiting.get())
        while not self._waiting.empty():
            some.append(self._waiting.get_nowait())
        return some

    def _hear_bell(self, message: Notification) -> None:
        """Tell how a bell's input is, if that is what the message is about."""
        told, camera_id = self.states.input_of(message), self._camera.camera_id
        if told is None:
            return
        token, is_on = told
        if token in self._own_of:
            self._bells.heard_closed(camera_id, _bell(self._own_of[token]), is_active=is_on)
        elif {token, "*"} & set(self._camera.bell_inputs):
            self._bells.heard(camera_id, _bell(token), is_active=is_on)

    async def _tell(self, hit: CameraHit | None) -> None:
        if hit is None or not hit.kind:
            return
        if hit.kind == EventKind.EMERGENCY_BELL:
            if hit.turn is Turn.ENDED and hit.reason == "over":  # an instant's, by time
                camera_id = self._camera.camera_id
                self._bells.heard(camera_id, hit.rule, is_active=False)
            return
        try:
            await self._take(self._rule_hit(hit))
        except PolesideError as error:  # the disk: health tells of it
            self._log.warning("camera event not taken", code=error.code, rule=hit.rule)

    def _rule_hit(self, hit: CameraHit) -> RuleHit:
        now = self._clock.utc_now()
        return RuleHit(
            hit_id=new_ulid(now),
            camera_id=self._camera.camera_id,
            rule_id=hit.rule,
            kind=hit.kind,
            state=_STATES[hit.turn],
            at=now,
            mono_s=self._clock.monotonic_s(),
            tq=self._clock.quality(),
            reason=hit.reason or None,
            model=self._model,
            source=Source.CAMERA,
            detail=_detail(hit) if hit.turn is Turn.BEGAN else None,
        )


def _detail(hit: CameraHit) -> str:
    at = f"; the camera's time {hit.camera_at.isoformat()}" if hit.camera_at else ""
    return f"{hit.raw}{at}"


def _bell(token: str) -> str:
    return rule_of("bell", token)
