"""The parts of the front page, made of the box's state: the light, cameras, health, events."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from agent.local.web.pages import Pages, without_secrets
from agent.local.web.parts import Part
from agent.local.web.view import BoxState, CameraView, EventView

_TEMPLATE: Final = "front_parts.html"


class FrontParts:
    """In one language."""

    def __init__(self, pages: Pages, language: str) -> None:
        self._macros: Any = pages.macros(_TEMPLATE, language)

    def of_state(self, told: BoxState) -> Iterator[Part]:
        """Yield the parts that follow the box's state."""
        make, state = self._macros, without_secrets(told)
        yield Part("where", make.where(state))
        yield Part("light", make.light(state))
        of_cameras = {
            part.name: part for one in state.cameras for part in self._of_camera(one, state.utc_now)
        }
        # A card whose figures alone change stays as it is, and with it its picture.
        built_of = repr(
            [
                (one.camera_id, one.name, one.is_simulated, one.has_ptz, one.is_event_only)
                for one in state.cameras
            ]
        )
        yield Part("cameras", make.cameras(state, of_cameras), built_of)
        yield from of_cameras.values()
        yield Part("tiles", make.tiles(state))
        yield Part("facts", make.details(state))

    def of_events(self, events: Iterable[EventView], state: BoxState) -> Part:
        """Return the list of the newest events."""
        names = {one.camera_id: one.name for one in state.cameras}
        shown = [without_secrets(one) for one in events]
        return Part("events", self._macros.events(shown, names))

    def _of_camera(self, camera: CameraView, now: datetime) -> Iterator[Part]:
        yield Part(f"pills-{camera.camera_id}", self._macros.pills(camera))
        yield Part(f"facts-{camera.camera_id}", self._macros.facts(camera, now))
