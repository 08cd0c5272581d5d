"""Cameras without ONVIF, at addresses that a technician gives: the makers' known RTSP paths.

Finder -> here, in threads of the core. Only the box's own networks are spoken to. No login goes to
anybody but the camera that the technician gives it for: a wrong one once, then not for a while.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from agent.cameras.port import CameraUnreachable, CameraWrongPassword, Login
from agent.core.clock import Clock
from agent.core.errors import CameraError, SettingsError
from agent.core.login_record import Face, Secret
from agent.core.login_tries import LoginTries

if TYPE_CHECKING:
    from agent.cameras.rtsp_paths import TriedPath
    from agent.local.setup.look import Verified

_MOST: Final = 64
_RTSP_PORT: Final = 554
_CODINGS: Final = ("H264", "H265")


class RtspCamera:
    """One at an address, and what came of it. `reached` is how the box is told of it."""

    def __init__(self, host: str, port: int, clock: Clock) -> None:
        self.host, self.port = host, port
        self.tries = LoginTries(clock)
        self.tried: tuple[TriedPath, ...] = ()
        self.reached: Mapping[str, str] | None = None

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port}"

    @property
    def maker(self) -> str:
        """Whose paths these are, "" where several makers' answer."""
        makers = {one.maker for one in self.tried}
        return makers.pop() if len(makers) == 1 else ""


class WithoutOnvif:
    """Those found so far, by the id that the page calls them."""

    def __init__(self, clock: Clock, interfaces: tuple[str, ...] | None) -> None:
        self._clock, self._interfaces = clock, interfaces
        self._cameras: dict[str, RtspCamera] = {}

    def get(self, epr: str) -> RtspCamera | None:
        """Return one that was found."""
        return self._cameras.get(epr)

    def let_in(self) -> tuple[tuple[str, RtspCamera], ...]:
        """Return those that took a login."""
        return tuple(one for one in self._cameras.items() if one[1].reached is not None)

    def find(self, address: str) -> tuple[str, RtspCamera]:
        """Try the known paths at "host" or "host:port", without a login; return id and camera.

        Raises `SettingsError` setup.not_beside, `CameraError` setup.no_rtsp.
        """
        from agent.cameras import rtsp_streams  # noqa: PLC0415 - loaded only when somebody asks

        camera = self._camera(address)
        try:
            camera.tried = rtsp_streams.answering(camera.host, camera.port, self._clock)
        except CameraUnreachable:
            camera.tried = ()
        if not camera.tried:
            raise CameraError("setup.no_rtsp", "No known stream is there.")
        epr = f"rtsp:{camera.address}"
        known = self._cameras.get(epr)
        if known is not None:  # what it thought of logins is not forgotten
            known.tried = camera.tried
            return epr, known
        if len(self._cameras) >= _MOST:
            self._cameras.pop(next(iter(self._cameras)))
        self._cameras[epr] = camera
        return epr, camera

    def look(self, camera: RtspCamera, login: Login) -> "Verified":
        """Log in and see which paths are its streams."""
        from agent.cameras import rtsp_streams  # noqa: PLC0415
        from agent.local.setup.look import StreamLine, Verified, hint_of  # noqa: PLC0415

        camera.reached = None
        trial = camera.tries.trial(Secret(camera.host, login.username, login.password), Face.VIDEO)
        place = camera.host, camera.port
        try:
            trial.begin()
            found = rtsp_streams.streams(*place, camera.tried, login, self._clock)
            trial.taken()
        except CameraWrongPassword as error:
            trial.refused()
            return Verified(is_in=False, hints=(hint_of(error.code, camera.address),))
        except CameraError as error:
            return Verified(is_in=False, hints=(hint_of(error.code, camera.address),))
        finally:
            trial.close()
        by_role = {one.role: one for one in found}
        main, sub = by_role.get("main"), by_role.get("sub")
        if main is None or main.encoding not in ("", *_CODINGS):
            code = "camera.codec" if main else "camera.no_such_stream"
            return Verified(is_in=False, hints=(hint_of(code, camera.address),))
        camera.reached = {
            "onvif_url": "",
            "main_url": main.url,
            "sub_url": sub.url if sub else "",
            "username": login.username,
            "password": login.password,
        }
        return Verified(
            is_in=True,
            maker=camera.maker,
            streams=tuple(
                StreamLine(
                    role=one.role, encoding=one.encoding, width_px=0, height_px=0, fps=0, gop=0
                )
                for one in found
            ),
            hints=() if sub else (hint_of("setup.no_sub", camera.address),),
        )

    def _camera(self, address: str) -> RtspCamera:
        from agent.cameras.discovery import is_beside  # noqa: PLC0415

        try:
            parts = urlsplit(f"//{address.strip().removeprefix('rtsp://')}")
            host, port = parts.hostname or "", parts.port or _RTSP_PORT
        except ValueError:
            host, port = "", 0
        if not is_beside(host, self._interfaces):
            raise SettingsError("setup.not_beside", "It is in none of the box's networks.")
        return RtspCamera(host, port, self._clock)
