"""What a camera tells by itself becomes hits and bell calls. Runs in the core process.

A thread hears (`agent.cameras.event_feed`); the meaning is found here, in the event loop, so that
hits leave in order. Bells take the same way as those of the pole.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from agent.cameras.camera_states import CameraHit, CameraStates, Turn
from agent.cameras.event_feed import EventFeed, FeedStatus
from agent.cameras.line import OnvifLine
from agent.cameras.notifications import Notification
from agent.cameras.port import DeviceFacts
from agent.cameras.pull_point import Reference
from agent.cameras.quirks import quirks_of
from agent.contract.events import EventKind, Picture, Source
from agent.core import log
from agent.core.clock import Clock
from agent.core.errors import PolesideError
from agent.core.ids import new_ulid
from agent.messages.pole import ContactState, PoleSignal
from agent.messages.vision import HitState, RuleHit
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
TakeBell = Callable[[PoleSignal, Picture | None], Awaitable[None]]


class CameraEars:
    """One camera's events."""

    def __init__(
        self,
        camera: CameraSettings,
        line: OnvifLine,
        take: TakeHit,
        take_bell: TakeBell,
        clock: Clock,
        *,
        device: DeviceFacts,
        remember: Callable[[Reference | None], None],
        left: Reference | None,
        data_dir: Path | None = None,
    ) -> None:
        self._camera, self._take, self._take_bell, self._clock = camera, take, take_bell, clock
        self._model = f"{device.manufacturer} {device.model}".strip()
        quirks = quirks_of(device.manufacturer, device.model, device.firmware, data_dir)
        self._log = log.get("camera-ears")
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Queue[Notification] = asyncio.Queue(_MOST_WAITING)
        self._presses: dict[str, str] = {}
        self.states = CameraStates(frozenset(camera.bell_inputs))
        self.dropped_total = 0
        self._feed = EventFeed(
            line, clock, self._heard, remember=remember, left=left, quirks=quirks
        )

    @property
    def status(self) -> FeedStatus:
        """How the events flow."""
        return self._feed.status

    async def run(self) -> None:
        """Hear until cancelled; the subscription is given back."""
        self._feed.start()
        away_since_s: float | None = None
        try:
            while True:
                for message in await self._some():
                    hit = self.states.take(message, self._clock.monotonic_s())
                    await self._tell(hit)
                now_s = self._clock.monotonic_s()
                for hit in self.states.tick(now_s):
                    await self._tell(hit)
                if self._feed.status.is_live:
                    away_since_s = None
                    continue
                away_since_s = now_s if away_since_s is None else away_since_s
                if now_s - away_since_s >= _AWAY_S:
                    for hit in self.states.lost():
                        await self._tell(hit)
        finally:
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

    async def _tell(self, hit: CameraHit | None) -> None:
        if hit is None or not hit.kind:
            return
        try:
            if hit.kind == EventKind.EMERGENCY_BELL:
                await self._call(hit)
            else:
                await self._take(self._rule_hit(hit))
        except PolesideError as error:  # the disk: health tells of it
            self._log.warning("camera event not taken", code=error.code, rule=hit.rule)

    async def _call(self, hit: CameraHit) -> None:
        """A bell: once when it is pressed, once when it is over."""
        if hit.turn is Turn.GOES_ON:
            return
        is_pressed = hit.turn is Turn.BEGAN
        now = self._clock.utc_now()
        press = self._presses.setdefault(hit.rule, new_ulid(now))
        if not is_pressed:
            del self._presses[hit.rule]
        await self._take_bell(
            PoleSignal(
                input_id=f"{self._camera.camera_id}-{hit.rule}",
                meaning="bell",
                state=ContactState.ACTIVE if is_pressed else ContactState.IDLE,
                was=ContactState.IDLE if is_pressed else ContactState.ACTIVE,
                press_id=press,
                at=now,
                mono_s=self._clock.monotonic_s(),
                tq=self._clock.quality(),
                camera_id=self._camera.camera_id,
                detail=_detail(hit),
            ),
            None,
        )

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
