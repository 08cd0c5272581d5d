"""The core's ONVIF side: one gate a camera, found streams told to the workers.

A camera with an `onvif_url` is asked who it is and where its streams are; until it answers, it is
asked again with a back-off. Each camera has a task, and its gate threads: a dead one slows nobody.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from agent.app.worker_hub import WorkerHub
from agent.cameras import confirmation
from agent.core import log
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.core.errors import CameraError, CommandError
from agent.core.folder_news import FolderNews
from agent.messages.worker import CameraState, WhoIsThere, Word

if TYPE_CHECKING:
    from pathlib import Path

    from agent.app.camera_ears import CameraEars, TakeHit
    from agent.app.camera_place import CameraPlace
    from agent.app.camera_search import CameraSearch
    from agent.app.onvif_facts import OnvifFacts
    from agent.cameras.gate import CameraGate
    from agent.cameras.relay_guard import RelayGuard
    from agent.pole.heard_bells import HeardBells
    from agent.settings.model import CameraSettings

LOOK_EVERY_S = 1.0
LOST_S = 10.0
CONFIRM_EVERY_S = 2.0
AGAIN_S = 5.0
_MOST_QUESTIONS = 64


class CameraDesk(Service):
    """Holds the places of cameras; `gate` is what commands use to move a camera.

    Without `take` and `bells` the cameras' own events are not listened to, without `data_dir`
    nothing is kept over a restart.
    """

    name = "camera-desk"

    def __init__(
        self,
        cameras: tuple[CameraSettings, ...],
        hub: WorkerHub,
        clock: Clock,
        *,
        data_dir: Path | None = None,
        take: TakeHit | None = None,
        bells: HeardBells | None = None,
        search: CameraSearch | None = None,
    ) -> None:
        super().__init__(clock)
        self._hub, self._data_dir = hub, data_dir
        self._take, self._bells = take, bells
        self._places: dict[str, CameraPlace] = {}
        self._search = search
        self._marks = FolderNews(data_dir / confirmation.FOLDER, clock) if data_dir else None
        self._minding: dict[str, asyncio.Task[None]] = {}
        self._questions: asyncio.Queue[WhoIsThere] = asyncio.Queue(_MOST_QUESTIONS)
        hub.on_question = self._take_question
        self._plain: frozenset[str] = frozenset()  # cameras without ONVIF
        self._accepted: set[str] = set()  # of those
        self._wanted: dict[str, CameraSettings] = {}
        self.use(cameras)

    def use(self, cameras: tuple[CameraSettings, ...]) -> None:
        """Take the cameras with an ONVIF address; those that are known stay, changed as told."""
        self._wanted = {camera.camera_id: camera for camera in cameras if camera.onvif_url}
        plain = frozenset(c.camera_id for c in cameras if c.camera_id not in self._wanted)
        has_others, self._plain = plain != self._plain, plain
        if self._marks is not None and has_others:
            self._marks.close()  # afterwards: a look under way may have been for those before
        for camera in self._wanted.values():
            if (known := self._places.get(camera.camera_id)) is not None:
                known.use_sectors(camera)
        new = [c for c in self._wanted.values() if c.camera_id not in self._places]
        if not new:
            return
        # 13 MB, only with ONVIF
        from agent.app.camera_place import CameraPlace  # noqa: PLC0415
        from agent.app.camera_search import CameraSearch  # noqa: PLC0415

        self._search = self._search or CameraSearch(self._clock)
        for camera in new:
            self._places[camera.camera_id] = CameraPlace(
                camera,
                self._clock,
                self._search,
                data_dir=self._data_dir,
                take=self._take,
                bells=self._bells,
            )

    def gate(self, camera_id: str) -> CameraGate | None:
        """Return the camera's gate, None when it has no ONVIF address."""
        place = self._places.get(camera_id)
        return None if place is None else place.gate

    def movable_gate(self, camera_id: str) -> CameraGate | None:
        """Return the camera's gate once it said, now or in an earlier run, that it can be moved."""
        place = self._places.get(camera_id)
        return place.gate if place is not None and place.has_head else None

    def facts(self, camera_id: str) -> OnvifFacts | None:
        """Return what is known through ONVIF, None when the camera has no ONVIF address."""
        place = self._places.get(camera_id)
        return None if place is None else place.facts

    def known(self) -> object:
        """Return what the box's birth document says of cameras; compare it."""
        return tuple(
            (
                camera_id,
                place.facts.device,
                place.facts.is_exchanged,
                place.ears is not None and place.ears.status.opened_total > 0,
            )
            for camera_id, place in self._places.items()
        )

    def ears(self, camera_id: str) -> CameraEars | None:
        """Return who listens to the camera's own events, None when nobody does."""
        place = self._places.get(camera_id)
        return None if place is None else place.ears

    def relays(self, camera_id: str) -> RelayGuard:
        """Return who switches the camera's relays. Raises `CommandError` when it has no ONVIF."""
        return self._place(camera_id, "relay.no_onvif").relays

    async def rotate_password(self, camera_id: str) -> str:
        """Give the camera a password made here. Raises `CameraFailure`, `CommandError`."""
        return await self._place(camera_id).rotate_password()

    def kept_settings(self, camera_id: str) -> dict[str, str]:
        """Return the picture of the camera's settings that is kept; empty while there is none."""
        return self._place(camera_id).kept_settings

    def changed_by_us(self, camera_id: str, *parts: str) -> None:
        """Parts of the camera's settings were changed by order: that is no drift."""
        self._place(camera_id).upkeep.changed_by_us(*parts)

    def accept(self, camera_id: str) -> None:
        """The camera is right as it is now."""
        if camera_id in self._plain:
            self._accepted.add(camera_id)
        else:
            self._place(camera_id).upkeep.accept()

    def choose(self, camera_id: str, onvif_url: str) -> None:
        """Somebody tried another camera and put it in this place: whom the box meets there next.

        "": one without ONVIF.
        """
        place = self._places.get(camera_id)
        if place is not None and onvif_url:
            place.upkeep.choose(onvif_url)
        else:  # it is known by its streams alone, as yet at least
            self._accepted.add(camera_id)

    def _place(self, camera_id: str, code: str = "camera.no_onvif") -> CameraPlace:
        place = self._places.get(camera_id)
        if place is None:
            raise CommandError(
                code,
                f"Camera {camera_id} is not known here or has no `onvif_url`.",
                hint="Give the camera's ONVIF address in the settings file at the box.",
            )
        return place

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._answer_workers(tasks))
                tasks.create_task(self._tell_accepted())
                while True:
                    self.progressed()
                    if self._search is not None:
                        await self._search.open()
                    for camera_id, place in tuple(self._places.items()):
                        if camera_id not in self._minding or self._minding[camera_id].done():
                            self._minding[camera_id] = tasks.create_task(
                                self._keep_minding(camera_id, place)
                            )
                    await self._clock.sleep_s(to_tick_s(self._clock, LOOK_EVERY_S))
        finally:
            for part in (self._search, self._marks):
                if part is not None:
                    part.close()
            self._minding.clear()

    def _take_question(self, question: WhoIsThere) -> None:
        """A worker asks who is at its stream's address. When there are too many, it asks again."""
        with suppress(asyncio.QueueFull):
            self._questions.put_nowait(question)

    async def _answer_workers(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            question = await self._questions.get()
            tasks.create_task(self._answer(question))

    async def _answer(self, question: WhoIsThere) -> None:
        place = self._places.get(question.camera_id)
        word = Word.UNKNOWN if place is None else await place.word_of(question.host)
        if word is not None:
            await self._tell_word(question.camera_id, question.host, word)

    async def _tell_accepted(self) -> None:
        """Tell workers of cameras without ONVIF when a technician takes those as they are."""
        while True:
            if self._plain and self._marks is not None and self._marks.has_come():
                self._accepted.update(await asyncio.to_thread(self._confirmed))
            for camera_id in tuple(self._accepted):
                if self._hub.is_connected(camera_id):
                    self._accepted.discard(camera_id)
                    await self._let_in(camera_id)
            await self._clock.sleep_s(to_tick_s(self._clock, CONFIRM_EVERY_S))

    def _confirmed(self) -> list[str]:
        assert self._data_dir is not None  # noqa: S101 - asked only where there are marks
        assert self._marks is not None  # noqa: S101 - the same
        with suppress(OSError):  # else the kernel can't tell of it
            (self._data_dir / confirmation.FOLDER).mkdir(exist_ok=True)
        self._marks.begin()
        return [one for one in self._plain if confirmation.take(self._data_dir, one)]

    async def _let_in(self, camera_id: str) -> None:
        """Have the worker take who is there; streams that come are not cut for it."""
        status = self._hub.status(camera_id)
        streams = () if status is None else (status.main, status.sub or status.main)
        if not streams or any(s.state is not CameraState.ONLINE for s in streams):
            await self._tell_word(camera_id, "", Word.ACCEPTED)

    async def _tell_word(self, camera_id: str, host: str, word: Word) -> None:
        with suppress(CameraError):  # the worker is gone, and asks again when it is back
            await self._hub.recognised(camera_id, host, word)

    async def stop(self) -> None:
        async with asyncio.TaskGroup() as tasks:  # none waits for one that is away
            for place in self._places.values():
                tasks.create_task(place.close())

    async def _keep_minding(self, camera_id: str, place: CameraPlace) -> None:
        """Mind one camera; what breaks there is begun anew, and concerns no other camera."""
        while True:
            try:
                await self._mind(camera_id, place)
            except Exception as error:  # noqa: BLE001  the edge of one camera's care
                log.get(self.name).error("care broke", camera=camera_id, exc_info=error)
                await self._clock.sleep_s(AGAIN_S)
            else:
                return

    async def _mind(self, camera_id: str, place: CameraPlace) -> None:
        """One camera's task: ask, care, search, hear, tell; until the settings know it no more."""
        hearing: asyncio.Task[None] | None = None
        heard: object = None
        async with asyncio.TaskGroup() as tasks:
            while (wanted := self._wanted.get(camera_id)) is not None:
                await place.use(wanted)
                await place.look(is_lost=self._is_lost(camera_id))
                if place.is_there and heard != place.to_hear:
                    if hearing is not None:
                        hearing.cancel()
                    heard, ears = place.to_hear, place.listen()
                    hearing = tasks.create_task(ears.run()) if ears is not None else None
                await self._tell(camera_id, place)
                await self._clock.sleep_s(to_tick_s(self._clock, LOOK_EVERY_S))
            if hearing is not None:
                hearing.cancel()
        self._places.pop(camera_id, None)
        if self._bells is not None:
            self._bells.forget(camera_id)
        await place.close()

    def _is_lost(self, camera_id: str) -> bool:
        """Say whether the camera's worker has had no picture of it for a while."""
        status = self._hub.status(camera_id)
        if status is None or status.main.last_frame_mono_s is None:
            return False
        return self._clock.monotonic_s() - status.main.last_frame_mono_s > LOST_S

    async def _tell(self, camera_id: str, place: CameraPlace) -> None:
        """Tell a new worker, and after a move the one there is, where the streams are."""
        if place.upkeep.was_confirmed and self._hub.is_connected(camera_id):
            place.upkeep.was_confirmed = False
            await self._let_in(camera_id)
        if place.has_new_login:
            await self._try_streams_again(camera_id, place)
        streams = place.facts.streams
        if not self._hub.is_connected(camera_id):
            place.told = None
        elif streams is not None:
            addresses = (streams.main_url, streams.sub_url or "")
            if place.told == addresses:
                return
            has_ptz = place.facts.device is not None and place.facts.device.has_ptz
            with suppress(CameraError):
                await self._hub.use_streams(camera_id, *addresses, has_ptz=has_ptz)
                place.told = addresses

    async def _try_streams_again(self, camera_id: str, place: CameraPlace) -> None:
        """A stream that the old password did not open any more need not wait for its next try."""
        status = self._hub.status(camera_id)
        state = CameraState.UNKNOWN if status is None else status.main.state
        place.has_new_login = state not in (CameraState.AUTH_FAILED, CameraState.ONLINE)
        if state is CameraState.AUTH_FAILED:
            with suppress(CameraError):
                await self._hub.restart_streams(camera_id)
