"""The doors of one camera's place: one an address, for what one says of a login is no other's word.

And who tries a new login first. Core process.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.cameras.door import Door, Recognise, Way
from agent.core.login_record import Secret
from agent.core.login_tries import TURN_S, tries_of

if TYPE_CHECKING:
    from pathlib import Path

    from agent.cameras.port import Login
    from agent.core.clock import Clock
    from agent.settings.model import CameraSettings


class CameraDoors:
    """One place's; `recognise` looks who is there."""

    def __init__(
        self, camera_id: str, data_dir: Path | None, clock: Clock, recognise: Recognise
    ) -> None:
        self._clock, self._recognise = clock, recognise
        self._tries = tries_of(data_dir, camera_id, clock)
        self._doors: dict[str, Door] = {}
        self.login_changed()

    def at(self, address: str, login: Login, way: Way) -> Door:
        """Return the door there; a new one logs in with `login` by the remembered `way`."""
        if address not in self._doors:
            door = Door(
                *(login, self._clock, self._recognise), host=_host(address), tries=self._tries
            )
            door.way = way
            self._doors[address] = door
        return self._doors[address]

    def login_changed(self) -> None:
        """Let the video go first once more."""
        self._video_until_s = self._clock.monotonic_s() + TURN_S

    async def is_video_first(self, camera: CameraSettings, address: str, login: Login) -> bool:
        """Say whether to wait: a login that nobody tried yet is for what is recorded first.

        Should it be wrong here only, as where ONVIF has users of its own, no video is held up.
        """
        left_s = self._video_until_s - self._clock.monotonic_s()
        if left_s <= 0 or not login.username or not camera.main_url.startswith("rtsp"):
            return False
        secret = Secret(_host(address), login.username, login.password)
        return await asyncio.to_thread(self._tries.is_new, secret)


def _host(address: str) -> str:
    return urlsplit(address).hostname or ""
