"""Finds cameras beside the box, and has one verified with its login before it is in the settings.

Page -> here -> discovery and ONVIF lines in threads. Core process. Only what was found, or is in a
network of the box (`without_onvif`), is spoken to: nobody can make the box call any address of his
choice. A password is tried once.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from msgspec import Struct

from agent.cameras.door import Door
from agent.cameras.port import Login
from agent.core.clock import Clock
from agent.local.setup.without_onvif import RtspCamera, WithoutOnvif

if TYPE_CHECKING:
    from agent.cameras.discovery import FoundCamera
    from agent.local.setup.look import Verified

WS_DISCOVERY_PORT: Final = 3702
_WAIT_S: Final = 2.0
_MOST_FOUND: Final = 64
_PORTS: Final = {"https": 443, "rtsp": 554, "rtsps": 322}


class Found(Struct, frozen=True, kw_only=True):
    """A camera that answered. `camera_id` when it is in the settings already."""

    epr: str
    address: str
    name: str = ""
    hardware: str = ""
    camera_id: str | None = None


class CameraFinder:
    """`known` gives the id of each address that is in the settings."""

    def __init__(
        self,
        clock: Clock,
        known: Callable[[], Mapping[str, str]],
        *,
        interfaces: tuple[str, ...] | None = None,
        port: int = WS_DISCOVERY_PORT,
    ) -> None:
        self._clock, self._known = clock, known
        self._interfaces, self._port = interfaces, port
        self._found: dict[str, FoundCamera] = {}
        self._doors: dict[str, Door] = {}
        self._let_in: dict[str, Login] = {}
        self._without_onvif = WithoutOnvif(clock, interfaces)
        self._one_at_a_time = asyncio.Lock()

    async def find(self) -> tuple[Found, ...]:
        """Ask the neighbourhood; takes about two seconds."""
        async with self._one_at_a_time:
            answers = await asyncio.to_thread(self._ask_around)
        for camera in answers:
            if len(self._found) < _MOST_FOUND or camera.epr in self._found:
                self._found[camera.epr] = camera
        known = self._known()
        return tuple(
            Found(
                epr=camera.epr,
                address=camera.address,
                name=camera.scope("name"),
                hardware=camera.scope("hardware"),
                camera_id=known.get(host_port(camera.url)),
            )
            for camera in sorted(self._found.values(), key=lambda one: one.address)
        )

    async def find_rtsp(self, address: str) -> Found:
        """Try the makers' known RTSP paths there, without a login; takes up to 20 s.

        Raises `PolesideError` setup.not_beside, setup.no_rtsp.
        """
        async with self._one_at_a_time:
            epr, camera = await asyncio.to_thread(self._without_onvif.find, address)
        return _shown(epr, camera, self._known().get(camera.address))

    async def verify(self, epr: str, login: Login) -> "Verified | None":
        """Log in once and look at the streams; None: no such camera was found."""
        if (plain := self._without_onvif.get(epr)) is not None:
            async with self._one_at_a_time:
                return await asyncio.to_thread(self._without_onvif.look, plain, login)
        camera = self._found.get(epr)
        if camera is None:
            return None
        door = self._doors.setdefault(epr, Door(login, self._clock))
        if door.key.login != login:
            door.change(login)
        async with self._one_at_a_time:
            verified = await asyncio.to_thread(self._look, camera, door)
        self._let_in.pop(epr, None)
        if verified.is_in:
            self._let_in[epr] = login
        return verified

    def verified(self) -> tuple[Found, ...]:
        """Return the cameras that let us in."""
        return tuple(
            Found(
                epr=epr,
                address=self._found[epr].address,
                name=self._found[epr].scope("name"),
                hardware=self._found[epr].scope("hardware"),
            )
            for epr in self._let_in
        ) + tuple(_shown(epr, camera) for epr, camera in self._without_onvif.let_in())

    def settings_of(self, epr: str) -> Mapping[str, str] | None:
        """Return how the box is told of a camera that let us in; None: it has not yet."""
        if (plain := self._without_onvif.get(epr)) is not None:
            return plain.reached
        login = self._let_in.get(epr)
        if login is None:
            return None
        return {
            "onvif_url": self._found[epr].url,
            "username": login.username,
            "password": login.password,
        }

    def _ask_around(self) -> tuple["FoundCamera", ...]:
        from agent.cameras import discovery  # noqa: PLC0415 - loaded only when somebody asks

        return discovery.probe(
            self._clock, interfaces=self._interfaces, wait_s=_WAIT_S, port=self._port
        )

    def _look(self, camera: "FoundCamera", door: Door) -> "Verified":
        from agent.local.setup.look import look  # noqa: PLC0415 - loaded only when somebody asks

        return look(camera, door, self._clock)


def _shown(epr: str, camera: RtspCamera, camera_id: str | None = None) -> Found:
    return Found(epr=epr, address=camera.address, hardware=camera.maker, camera_id=camera_id)


def host_port(url: str) -> str:
    """Return an address's host and port, the scheme's own port when it has none."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or _PORTS.get(parts.scheme, 80)}"
