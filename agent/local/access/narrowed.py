"""The box as one person may see it: the one place where a foreign camera is no camera at all.

Every route asks this view and none the box itself, so no route can forget the check. What one may
not see answers as what there is not.
"""

from collections.abc import Awaitable, Callable

from msgspec import structs

from agent.local.access.people import Person
from agent.local.web.view import WORKER, BoxState, BoxView, EventView, LivePicture, Timeline

_MOST_EVENTS = 200
Seen = Callable[[str], Awaitable[None]]


async def _untold(_camera_id: str) -> None:
    pass


class NarrowedView:
    """Implements `BoxView`; `seen(camera_id)` is told before a picture is shown."""

    def __init__(self, box: BoxView, person: Person, seen: Seen = _untold) -> None:
        self._box, self._person, self._seen = box, person, seen

    async def state(self) -> BoxState:
        state = await self._box.state()
        sees = self._person.sees
        return structs.replace(
            state,
            cameras=tuple(one for one in state.cameras if sees(one.camera_id)),
            faults=tuple(one for one in state.faults if not one.camera_id or sees(one.camera_id)),
            processes=tuple(one for one in state.processes if self._sees_process(one.name)),
        )

    async def live(self, camera_id: str) -> LivePicture | None:
        if not self._person.sees(camera_id):
            return None
        live = await self._box.live(camera_id)
        if live is not None:
            await self._seen(camera_id)
        return live

    async def timeline(self, camera_id: str, last_s: float) -> Timeline | None:
        return await self._box.timeline(camera_id, last_s) if self._sees(camera_id) else None

    async def events(self, limit: int) -> tuple[EventView, ...]:
        events = await self._box.events(_MOST_EVENTS)
        return tuple(one for one in events if self._sees(one.camera_id))[:limit]

    async def picture(self, event_id: str) -> bytes | None:
        camera_id = await self._box.event_camera(event_id)
        if not self._sees(camera_id):
            return None
        picture = await self._box.picture(event_id)
        if picture is not None:
            await self._seen(camera_id or "")
        return picture

    async def event_camera(self, event_id: str) -> str | None:
        camera_id = await self._box.event_camera(event_id)
        return camera_id if self._sees(camera_id) else None

    def _sees_process(self, name: str) -> bool:
        _, is_worker, camera_id = name.partition(WORKER)
        return not is_worker or self._sees(camera_id)

    def _sees(self, camera_id: str | None) -> bool:
        return self._person.sees(camera_id)
