"""The core's ONVIF side: one gate a camera, found streams told to the workers.

A camera with an `onvif_url` is asked who it is and where its streams are; until it answers, it is
asked again with a back-off. Everything runs in threads of the gates: a dead camera slows nobody.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from agent.app.worker_hub import WorkerHub
from agent.cameras.gate import CameraGate
from agent.cameras.port import CameraControl, DeviceFacts, Login
from agent.cameras.streams import CameraStreams
from agent.core import log
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.core.errors import CameraError
from agent.core.retry import Backoff
from agent.settings.model import CameraSettings

LOOK_EVERY_S = 1.0
CLOCK_EVERY_S = 600.0
FIRST_ASK_S, LAST_ASK_S = 2.0, 60.0


@dataclass(frozen=True, slots=True)
class OnvifFacts:
    """What ONVIF said of a camera so far. `code` is the last failure's, None after success.

    `clock_ahead_s`: how far its clock is ahead of the box's, to a second; None while unknown.
    """

    device: DeviceFacts | None = None
    streams: CameraStreams | None = None
    code: str | None = None
    since: datetime | None = None
    clock_ahead_s: float | None = None


class _Desk:
    """One camera at the desk."""

    def __init__(self, gate: CameraGate) -> None:
        self.gate = gate
        self.facts = OnvifFacts()
        self.backoff = Backoff(FIRST_ASK_S, LAST_ASK_S)
        self.due_mono_s = self.clock_due_mono_s = 0.0
        self.told: tuple[str, str] | None = None


class CameraDesk(Service):
    """Holds the gates; `gate` is what commands use to move a camera."""

    name = "camera-desk"

    def __init__(self, cameras: tuple[CameraSettings, ...], hub: WorkerHub, clock: Clock) -> None:
        super().__init__(clock)
        self._hub = hub
        self._log = log.get(self.name)
        self._desks: dict[str, _Desk] = {}
        self.use(cameras)

    def use(self, cameras: tuple[CameraSettings, ...]) -> None:
        """Take the cameras with an ONVIF address; gates that exist stay."""
        for camera in cameras:
            if camera.onvif_url and camera.camera_id not in self._desks:
                self._desks[camera.camera_id] = _Desk(
                    CameraGate(_factory(camera, self._clock), self._clock)
                )

    def gate(self, camera_id: str) -> CameraGate | None:
        """Return the camera's gate, None when it has no ONVIF address."""
        desk = self._desks.get(camera_id)
        return None if desk is None else desk.gate

    def facts(self, camera_id: str) -> OnvifFacts | None:
        """Return what is known through ONVIF, None when the camera has no ONVIF address."""
        desk = self._desks.get(camera_id)
        return None if desk is None else desk.facts

    async def run(self) -> None:
        while True:
            self.progressed()
            for camera_id, desk in list(self._desks.items()):
                if desk.facts.device is None and self._clock.monotonic_s() >= desk.due_mono_s:
                    await self._ask(camera_id, desk)
                elif desk.facts.device is not None:
                    await self._measure_clock(desk)
                await self._tell(camera_id, desk)
            await self._clock.sleep_s(to_tick_s(self._clock, LOOK_EVERY_S))

    async def stop(self) -> None:
        for desk in self._desks.values():
            await desk.gate.close()

    async def _ask(self, camera_id: str, desk: _Desk) -> None:
        try:
            device = await desk.gate.facts()
            streams = await desk.gate.streams()
        except CameraError as error:
            if desk.facts.code != error.code:
                self._log.warning("ONVIF", camera=camera_id, code=error.code, why=error.message)
                now = self._clock.utc_now()
                desk.facts = replace(desk.facts, code=error.code, since=now)
            desk.due_mono_s = self._clock.monotonic_s() + desk.backoff.next_s()
            return
        self._log.info("camera known", camera=camera_id, maker=device.manufacturer)
        desk.facts = OnvifFacts(device=device, streams=streams)

    async def _measure_clock(self, desk: _Desk) -> None:
        now_s = self._clock.monotonic_s()
        if now_s < desk.clock_due_mono_s:
            return
        desk.clock_due_mono_s = now_s + CLOCK_EVERY_S
        ahead_s = None
        with suppress(CameraError):
            ahead_s = await desk.gate.clock_ahead_s()
        desk.facts = replace(desk.facts, clock_ahead_s=ahead_s)

    async def _tell(self, camera_id: str, desk: _Desk) -> None:
        """Tell each new worker of this camera where its streams are."""
        streams = desk.facts.streams
        if not self._hub.is_connected(camera_id):
            desk.told = None
        elif streams is not None and desk.told is None:
            addresses = (streams.main_url, streams.sub_url or "")
            try:
                has_ptz = desk.facts.device is not None and desk.facts.device.has_ptz
                await self._hub.use_streams(camera_id, *addresses, has_ptz=has_ptz)
            except CameraError:
                return
            desk.told = addresses


def _factory(camera: CameraSettings, clock: Clock) -> Callable[[], CameraControl]:
    def make() -> CameraControl:
        from agent.cameras.zeep_backend import ZeepCamera  # noqa: PLC0415 - 13 MB, only with ONVIF

        return ZeepCamera(camera.onvif_url, Login(camera.username, camera.password), clock)

    return make
