"""The core's look at the folders of cameras that the settings no longer know."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from agent.buffer import former
from agent.buffer.journal import Signer
from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.errors import StorageError
from agent.settings.load import data_dir_of
from agent.settings.model import Settings

LOOK_EVERY_S = 300.0


class FormerCameras(Service):
    """`settings` gives them as they are now; `signer` signs for the box, if it has a key."""

    name = "former-cameras"

    def __init__(
        self, clock: Clock, settings: Callable[[], Settings], signer: Callable[[], Signer | None]
    ) -> None:
        super().__init__(clock)
        self._settings, self._signer = settings, signer

    async def run(self) -> None:
        while True:
            await asyncio.to_thread(self.look)
            self.progressed()
            await self._clock.sleep_s(LOOK_EVERY_S)

    def look(self) -> None:
        """Tend every such folder once; one that is in use or refuses is looked at next time."""
        settings = self._settings()
        known = {camera.camera_id for camera in settings.cameras}
        folders = former.folders_of_former(data_dir_of(settings), known)
        keep = timedelta(days=settings.timelapse.keep_days)
        for folder in folders:
            try:
                former.tend(
                    folder,
                    settings.buffer,
                    self._clock,
                    len(known) + len(folders),
                    self._signer(),
                    lambda where, now: _stills_left(where, now and now - keep),
                )
            except (OSError, StorageError) as error:
                log.get(self.name).debug("not tended", camera=folder.name, detail=str(error))


def _stills_left(folder: Path, horizon: datetime | None) -> bool:
    """Delete a time lapse's pictures that are too old; return whether there are others."""
    is_left = False
    for picture in (folder / "timelapse").rglob("*.jpg"):
        if horizon and picture.stat().st_mtime < horizon.timestamp():
            picture.unlink(missing_ok=True)
        else:
            is_left = True
    return is_left
