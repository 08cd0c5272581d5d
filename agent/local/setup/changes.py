"""What a technician at the page changes of the box's settings, each checked and on trial.

Page -> here -> `DesiredConfig.set_here` -> `local.json`, audit chain, and the processes it touches.
"""

from collections.abc import Mapping
from typing import Any

from agent.commands.desired import DesiredConfig
from agent.contract.commands import Actor
from agent.core.errors import SettingsError
from agent.local.access.people import Person


class SetupChanges:
    """Every change is all or nothing; raises `SettingsError` with nothing changed."""

    def __init__(self, config: DesiredConfig) -> None:
        self._config = config

    async def add_camera(
        self, camera_id: str, name: str, reached: Mapping[str, str], by: Person
    ) -> None:
        """Add a camera that was verified; the box takes it up at once."""
        if self._config.settings.camera(camera_id) is not None:
            raise SettingsError("setup.taken", f"There is a camera `{camera_id}` already.")
        camera = {"camera_id": camera_id, "name": name[:64], **reached}
        await self._set({"cameras": [camera]}, by)

    async def _set(self, patch: dict[str, Any], by: Person) -> None:
        actor = Actor(user=f"page:{by.name}", role=by.role.value)
        try:
            await self._config.set_here(patch, actor)
        except OSError as error:
            raise SettingsError("settings.not_stored", f"It can't be stored: {error}.") from error
