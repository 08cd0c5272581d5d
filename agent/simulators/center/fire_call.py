"""The page's "119" button: one press calls the cameras to a fire and their pictures to the relay.

press -> a signed call with the boxes' grants -> cameras turn, live video arrives at the relay here.
"""

import asyncio
import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agent.contract.commands import Actor
from agent.contract.events import CapStatus
from agent.contract.grants import Audience, MediaGrant, Reason, Sink, What
from agent.contract.incidents import IncidentCall, IncidentKind
from agent.core.clock import Clock
from agent.core.ids import new_ulid
from agent.simulators.center.district import Called, District
from agent.simulators.center.view import BoxView
from agent.simulators.relay.publication import Publication
from agent.simulators.relay.relay import Relay

LASTS_S = 300
_ROOM = Actor(user="119", role="dispatcher", agency="119")
_WHAT = (What.LIVE, What.PTZ, What.SNAPSHOT)


@dataclass(frozen=True, slots=True)
class CalledCamera:
    """A camera at work for the fire; `age_s` is since the last packet came to the relay."""

    box: str
    camera_id: str
    aimed: bool
    is_live: bool
    packets: int
    age_s: float | None
    first_frame_s: float | None  # after the button


@dataclass(frozen=True, slots=True)
class FireState:
    """What the page shows."""

    incident: str
    is_open: bool
    lasted_s: float
    cameras: tuple[CalledCamera, ...]


class FireCall:
    """One fire at a time, at `place` (latitude, longitude)."""

    def __init__(
        self,
        clock: Clock,
        district: District,
        relay: Relay,
        boxes: Callable[[], Awaitable[list[BoxView]]],
        site: str,
        place: tuple[float, float],
    ) -> None:
        self._clock, self._district, self._relay = clock, district, relay
        self._boxes, self._site, self._place = boxes, site, place
        self._token, self._id, self._pressed_s = "", "", 0.0
        self._count = 0
        relay.admits = self._admits

    async def press(self) -> None:
        """Call; again while it is open, end it. Raises `LinkError` when nobody can be told."""
        if self._called() is not None:
            await self._district.end(self._id)
            return
        now = self._clock.utc_now()
        at = int(now.timestamp())
        self._count += 1
        incident = f"119-{now:%Y%m%d}-{self._count}"
        self._token, self._id = secrets.token_urlsafe(18), new_ulid(now)
        self._pressed_s = self._clock.monotonic_s()
        lat, lon = self._place
        call = IncidentCall(
            id=self._id,
            seq=1,
            site=self._site,
            incident=incident,
            kind=IncidentKind.FIRE,
            reason=Reason.FIRE,
            status=CapStatus.TEST,
            audience=Audience.FIRE_ROOM,
            by=_ROOM,
            iss=self._site,
            iat=at,
            exp=at + LASTS_S,
            lat=lat,
            lon=lon,
            grants=tuple([self._grant(box, incident, at) for box in await self._boxes()]),
        )
        await self._district.open(call)

    async def state(self) -> FireState | None:
        """Return what became of the last press; None before the first."""
        called = self._district.incidents.get(self._id)
        if called is None:
            return None
        lasted_s = self._clock.monotonic_s() - self._pressed_s
        cameras = [
            self._camera(address.box, one)
            for address, reply in called.answers.items()
            for one in (reply.result or {}).get("called", [])
        ]
        is_open = self._called() is not None
        return FireState(called.call.incident, is_open, round(lasted_s, 1), tuple(cameras))

    async def picture(self, name: str) -> bytes | None:
        """Return what arrives at the relay under a name."""
        from agent.simulators.relay.still import still  # noqa: PLC0415 - libav, for who looks

        publication = self._relay.publications.get(name)
        return None if publication is None else await asyncio.to_thread(still, publication)

    def _called(self) -> Called | None:
        called = self._district.incidents.get(self._id)
        is_over = called is not None and (
            called.call.ended or called.call.exp <= self._clock.utc_now().timestamp()
        )
        return None if is_over else called

    def _camera(self, box: str, told: dict[str, object]) -> CalledCamera:
        camera_id = str(told["camera_id"])
        arrived = self._relay.publications.get(f"{box}-{camera_id}")
        return CalledCamera(
            box=box,
            camera_id=camera_id,
            aimed=bool(told["aimed"]),
            is_live=arrived is not None and arrived.is_live,
            packets=0 if arrived is None else arrived.packets_total,
            age_s=self._age_s(arrived),
            first_frame_s=self._first_s(arrived),
        )

    def _age_s(self, arrived: Publication | None) -> float | None:
        if arrived is None or arrived.last_packet_mono_s is None:
            return None
        return round(self._clock.monotonic_s() - arrived.last_packet_mono_s, 1)

    def _first_s(self, arrived: Publication | None) -> float | None:
        if arrived is None or arrived.first_frame_mono_s is None:
            return None
        return round(arrived.first_frame_mono_s - self._pressed_s, 2)

    def _grant(self, box: BoxView, incident: str, at: int) -> MediaGrant:
        cameras = () if box.info is None else tuple(c.camera_id for c in box.info.cameras[:16])
        url = f"rtsp://127.0.0.1:{self._relay.port}/{box.address.box}-{{camera}}"
        return MediaGrant(
            id=new_ulid(self._clock.utc_now()),
            box=box.address.box,
            incident=incident,
            audience=Audience.FIRE_ROOM,
            purpose="a fire, called by the demo's button",
            reason=Reason.FIRE,
            what=_WHAT,
            cameras=cameras,
            nbf=at,
            exp=at + LASTS_S,
            sink=Sink(url=url, token=self._token),
            status=CapStatus.TEST,
            on_call=True,
        )

    def _admits(self, _name: str, token: str) -> bool:
        return bool(self._token) and hmac.compare_digest(token.encode(), self._token.encode())
