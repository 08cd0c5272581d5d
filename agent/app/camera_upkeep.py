"""What is looked at in a camera again and again: clock, settings, streams, a technician's word.

Core process; the questions themselves run in the threads of the camera's gate.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from agent.app.onvif_facts import OnvifFacts
from agent.cameras import care, confirmation
from agent.cameras.address import device_service_url
from agent.cameras.gate import CameraGate
from agent.cameras.memory import CameraMemory
from agent.cameras.settings_picture import settings_picture
from agent.cameras.stream_warnings import stream_warnings
from agent.core import log
from agent.core.clock import Clock
from agent.core.errors import CameraError

CLOCK_EVERY_S = 600.0
SETTINGS_EVERY_S = 900.0
STREAMS_EVERY_S = 60.0
CONFIRM_EVERY_S = 5.0
CHOSEN_S = 300.0  # so long somebody's choice of another camera counts for whom is met there

Keep = Callable[..., Awaitable[None]]


class CameraUpkeep:
    """One camera's. `look` is called about once a second while the camera answers.

    `remembered` is what is kept over a restart, `keep` changes it.
    """

    def __init__(
        self,
        camera_id: str,
        data_dir: Path | None,
        clock: Clock,
        remembered: Callable[[], CameraMemory],
        keep: Keep,
    ) -> None:
        self._camera_id, self._data_dir, self._clock = camera_id, data_dir, clock
        self._remembered, self._keep = remembered, keep
        self._due_mono_s: dict[str, float] = {}
        self._ours: set[str] = set()
        self._is_accepted = False
        self._chosen_at, self._chosen_until_s = "", 0.0
        self.was_confirmed = False  # since somebody looked last
        self._log = log.get("camera-upkeep").bind(camera=camera_id)

    def again(self, *what: str) -> None:
        """Look at "streams", "settings" or "clock" at once."""
        for name in what:
            self._due_mono_s.pop(name, None)

    def changed_by_us(self, *parts: str) -> None:
        """Settings whose path begins so were changed by order: as they are now they are right."""
        self._ours.update(parts)
        self.again("settings", "streams")

    def accept(self) -> None:
        """The camera is right as it is now: who hangs there, and how it is set up."""
        self._is_accepted = True
        self.again("confirmation")

    def choose(self, onvif_url: str) -> None:
        """Somebody tried another camera there and put it here: it is let in, its fit is open."""
        self._chosen_at = device_service_url(onvif_url)
        self._chosen_until_s = self._clock.monotonic_s() + CHOSEN_S

    def met(self, address: str) -> None:
        """Our camera was met there: if it was chosen, no other one is meant any more."""
        if address == self._chosen_at:
            self._chosen_at = ""

    async def look(self, gate: CameraGate, facts: OnvifFacts) -> OnvifFacts:
        """Do what is due; return what is known now."""
        if self._is_due("clock", CLOCK_EVERY_S):
            ahead_s = None
            with suppress(CameraError):
                ahead_s = await gate.clock_ahead_s()
            facts = replace(facts, clock_ahead_s=ahead_s)
        if self._is_due("streams", STREAMS_EVERY_S):
            with suppress(CameraError):
                facts = replace(facts, warnings=await gate.over(stream_warnings))
        if self._is_due("confirmation", CONFIRM_EVERY_S) and await self.is_confirmed():
            await self.keep_who_is_there()
            self.again("settings")
            facts = replace(facts, is_exchanged=False, drift=())
        if self._is_due("settings", SETTINGS_EVERY_S):
            facts = await self._compare_settings(gate, facts)
        return facts

    def _is_due(self, name: str, every_s: float) -> bool:
        now_s = self._clock.monotonic_s()
        if now_s < self._due_mono_s.get(name, 0.0):
            return False
        self._due_mono_s[name] = now_s + every_s
        return True

    async def keep_who_is_there(self) -> None:
        """Whoever hangs there now is the camera of this place from now on."""
        who = self._remembered().successor or self._remembered().identity
        await self._keep(identity=who, successor=None, exchanged_at=None, settings={})

    async def is_confirmed(self) -> bool:
        """A technician says that all is well as it is now."""
        is_accepted, self._is_accepted = self._is_accepted, False
        if not is_accepted and self._data_dir is not None:
            is_accepted = await asyncio.to_thread(
                confirmation.take, self._data_dir, self._camera_id
            )
        self.was_confirmed = self.was_confirmed or is_accepted
        return is_accepted

    async def is_let_in(self, address: str) -> bool:
        """Say, once, whether a stranger met there is one that a technician wants here."""
        is_lately = self._clock.monotonic_s() < self._chosen_until_s
        if not (is_lately and address == self._chosen_at):
            return await self.is_confirmed()
        self._chosen_at, self.was_confirmed = "", True
        return True

    async def _compare_settings(self, gate: CameraGate, facts: OnvifFacts) -> OnvifFacts:
        ours, self._ours = (
            tuple(self._ours),
            set(),
        )  # what is ordered meanwhile is not in this picture
        try:
            picture = await gate.over(settings_picture)
        except CameraError:
            self._ours.update(ours)
            return facts
        was = self._remembered().settings or picture
        if ours:
            was = {path: value for path, value in was.items() if not path.startswith(ours)}
            was |= {path: value for path, value in picture.items() if path.startswith(ours)}
        await self._keep(settings=was)
        changed = tuple(change.path for change in care.drift(was, picture))
        if changed and changed != facts.drift:
            self._log.warning("camera set up otherwise", what=changed[:5])
        return replace(facts, drift=changed)
