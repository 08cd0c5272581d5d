"""One place on the pole where a camera hangs: whoever hangs there now, and where it is to be found.

The place keeps its id, its zones and its rules when the camera is exchanged or moves to another
address. Core process; the camera itself is spoken to in the threads of its gate.
"""

import asyncio
import threading
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import structs

from agent.app.camera_doors import CameraDoors
from agent.app.camera_ears import CameraEars, TakeHit
from agent.app.camera_search import CameraSearch
from agent.app.camera_upkeep import CameraUpkeep
from agent.app.camera_whereabouts import Whereabouts
from agent.app.onvif_facts import OnvifFacts
from agent.cameras import care, inputs_outputs, memory
from agent.cameras.door import Door
from agent.cameras.gate import CameraGate
from agent.cameras.line import OnvifLine
from agent.cameras.memory import CameraMemory
from agent.cameras.port import (
    CameraControl,
    CameraFailure,
    CameraStranger,
    DeviceFacts,
    Login,
)
from agent.cameras.ptz_sectors import Sector, Sectors
from agent.cameras.relay_guard import RelayGuard, RelayRule
from agent.cameras.rotation import rotate, settle
from agent.cameras.surprises import typed
from agent.cameras.tls import CameraTls
from agent.core import log
from agent.core.clock import Clock
from agent.core.errors import CameraError, SettingsError
from agent.core.retry import Backoff
from agent.messages.worker import Word
from agent.pole.heard_bells import HeardBells
from agent.settings.camera_secret import PasswordFile
from agent.settings.model import CameraSettings

FIRST_ASK_S, LAST_ASK_S = 2.0, 60.0
ASK_LOST_S = 10.0
_WORD_S = 2.0


class CameraPlace:
    """One camera's place; `look` is called about once a second by the desk."""

    def __init__(
        self,
        camera: CameraSettings,
        clock: Clock,
        search: CameraSearch,
        *,
        data_dir: Path | None,
        take: TakeHit | None,
        bells: HeardBells | None,
    ) -> None:
        self._camera, self._clock, self._search = camera, clock, search
        self._data_dir, self._take, self._bells = data_dir, take, bells
        self._log = log.get("camera-place").bind(camera=camera.camera_id)
        self._memory, self._has_read = CameraMemory(), data_dir is None
        self._keeping = threading.Lock()
        self._passwords = PasswordFile(data_dir, camera)
        self._whereabouts = Whereabouts(clock, search, lambda: self._memory, camera.onvif_url)
        recognise = self._whereabouts.recognise
        self._doors = CameraDoors(camera.camera_id, data_dir, clock, recognise)
        self.upkeep = CameraUpkeep(
            camera.camera_id, data_dir, clock, lambda: self._memory, self._keep_later
        )
        self._backoff = Backoff(FIRST_ASK_S, LAST_ASK_S)
        self._due_mono_s = 0.0
        self.has_head = False  # it can be moved, as far as we know
        self.facts = OnvifFacts()
        self.told: tuple[str, str] | None = None
        self.has_new_login = False  # its streams may still be refused by the old one
        self._sectors = Sectors()
        self.use_sectors(camera)
        self.gate = self._new_gate()
        self._ears: CameraEars | None = None
        self._opened_total = 1
        self._relay_line: OnvifLine | None = None
        self.relays = RelayGuard(_rules(camera), self._switch, clock)

    @property
    def address(self) -> str:
        """Where it is: another address than in the settings once it has moved."""
        return self._whereabouts.address

    @property
    def _login(self) -> Login:
        return Login(self._camera.username, self._passwords.password)

    @property
    def _door(self) -> Door:
        return self._doors.at(self.address, self._login, self._memory.login_by)

    @property
    def is_there(self) -> bool:
        """Whether it is known and answered when it was asked last."""
        return self.facts.device is not None and not self._whereabouts.is_away

    async def look(self, *, is_lost: bool) -> None:
        """Do what is due: ask, search, measure. `is_lost`: no picture comes from it."""
        if not self._has_read:
            await self._read_memory()
        now_s = self._clock.monotonic_s()
        is_lost = is_lost or (self._ears is not None and self._ears.status.is_shut_out)
        if self._whereabouts.has_said_goodbye():
            is_lost, self._due_mono_s = True, 0.0
        is_amiss = is_lost or not self.is_there or self.facts.code is not None
        if (is_amiss or self._may_be_new) and now_s >= self._due_mono_s:
            if await self._doors.is_video_first(self._camera, self.address, self._login):
                return
            await self._ask()
        if self._whereabouts.search_is_due():
            await self._look_elsewhere()
        if self.is_there:
            was_exchanged = self.facts.is_exchanged
            self.facts = await self.upkeep.look(self.gate, self.facts)
            if was_exchanged and not self.facts.is_exchanged:
                self._door.doubt()  # confirmed: no stranger any more

    @property
    def _may_be_new(self) -> bool:
        """Whether its events were subscribed to anew: it restarted, perhaps with new firmware."""
        return self._ears is not None and self._ears.status.opened_total > self._opened_total

    def listen(self) -> CameraEars | None:
        """Return new ears for the camera where it is now, None when nobody listens."""
        device = self.facts.device
        if device is None or self._take is None or self._bells is None:
            return None
        self._opened_total = 1
        self._ears = CameraEars(
            self._camera,
            self._new_line(),
            self._take,
            self._bells,
            self._clock,
            device=device,
            remember=lambda reference: self._keep(subscription=reference),
            left=self._memory.subscription,
            data_dir=self._data_dir,
        )
        return self._ears

    @property
    def to_hear(self) -> object:
        """What its ears were made for: when it changes, new ones are needed."""
        camera = self._camera
        device = self.facts.device  # another one has other events, and other quirks
        return self.address, device, camera.bell_inputs, camera.bell_closed_inputs, _tls(camera)

    @property
    def ears(self) -> CameraEars | None:
        """Who listens to the camera's events."""
        return self._ears

    @property
    def kept_settings(self) -> dict[str, str]:
        """The picture of its settings that is kept; empty while there is none."""
        return self._memory.settings

    async def word_of(self, host: str) -> Word | None:
        """Say whether this camera is who answers at `host` now; None: it can't be asked."""
        if not self._has_read:
            return None  # who ours is is not known yet
        if urlsplit(self.address).hostname != host:
            return Word.UNKNOWN
        line = self._new_line()
        try:
            look = partial(self._whereabouts.word_of, line.link, _WORD_S)
            return await asyncio.to_thread(typed, look)
        except CameraFailure:
            return None
        finally:
            line.close()

    async def use(self, camera: CameraSettings) -> None:
        """Take changed settings over; a changed login is tried at once."""
        was, self._camera = self._camera, camera
        if was == camera:
            return
        if (was.username, was.password) != (camera.username, camera.password):
            self._passwords = PasswordFile(self._data_dir, camera)
            self._door.change(self._login)
            self._due_mono_s = 0.0
            self._doors.login_changed()
            self._backoff.reset()
        if was.onvif_url != camera.onvif_url or _tls(was) != _tls(camera):
            self._due_mono_s = 0.0
            if self.facts.device is not None:
                self._whereabouts.lost()
            await self._use_address(self._whereabouts.told(camera.onvif_url))
        if was.relays != camera.relays:
            await asyncio.to_thread(self.relays.use, _rules(camera))
        self.use_sectors(camera)

    async def rotate_password(self) -> str:
        """Give the camera a password made here, and return it. Raises `CameraFailure`."""
        try:
            return await self.gate.over(lambda line: rotate(line, self._passwords, self._clock))
        finally:
            self.has_new_login = True

    def use_sectors(self, camera: CameraSettings) -> None:
        """Forbid the sectors of these settings from now on."""
        self._sectors.use(
            Sector(
                -inf if told.pan_from is None else told.pan_from,
                inf if told.pan_to is None else told.pan_to,
                -inf if told.tilt_from is None else told.tilt_from,
                inf if told.tilt_to is None else told.tilt_to,
            )
            for told in camera.ptz.sectors
        )

    async def close(self) -> None:
        """Leave relays safe and the camera standing, then give everything back."""
        self._search.missed(self._camera.camera_id)
        await asyncio.to_thread(self.relays.close)
        if self._relay_line is not None:
            self._relay_line.close()
        await self.gate.close()

    async def _ask(self) -> None:
        try:
            if self._passwords.pending:
                await self._settle_password()
            device = await self.gate.facts()
            await self._note_head(device)
            streams = await self.gate.streams()
            seen = await self.gate.over(care.identity)
        except CameraStranger as error:
            await self._met_stranger(error)
            return
        except CameraError as error:
            self._failed(error)
            return
        self._due_mono_s = self._clock.monotonic_s() + ASK_LOST_S
        if self._ears is not None:
            self._opened_total = max(1, self._ears.status.opened_total)
        try:
            changes = self._whereabouts.judge(seen)
        except CameraStranger as error:
            await self._met_stranger(error)
            return
        is_new = self.facts.device != device or self._whereabouts.is_away
        twins = self._search.met(self._camera.camera_id, self.address, seen)
        if "successor" in changes and not self.facts.is_exchanged:
            self._log.warning("who hangs there changed", model=seen.model, serial=seen.serial)
            self.upkeep.again("settings")
        self._door.proven()
        self.upkeep.met(self.address)
        await self._keep_later(**changes, login_by=self._door.way)
        self._backoff.reset()
        self._whereabouts.found()
        self.facts = replace(
            self.facts,
            device=device,
            streams=streams,
            code=None,
            since=None,
            candidates=(),
            twins=twins,
            is_exchanged=self._memory.exchanged_at is not None,
        )
        self.upkeep.again("streams")
        if is_new:
            self._log.info("camera known", maker=device.manufacturer, at=self.address)
            await asyncio.to_thread(self.relays.make_safe)

    async def _settle_password(self) -> None:
        try:
            await self.gate.over(lambda line: settle(line, self._passwords))
        except SettingsError as error:  # the one that works is in use: kept when the disk takes it
            self._log.warning("password not kept", code=error.code, reason=error.message)
            return
        self._log.warning("a change of password was cut short and is settled now")
        self.has_new_login = True

    async def _note_head(self, device: DeviceFacts) -> None:
        """A head that may still move is stopped before anything else is asked."""
        self.has_head = device.has_ptz
        await self._keep_later(has_ptz=device.has_ptz)

    def _failed(self, error: CameraError) -> None:
        if self.facts.code != error.code:
            self._log.warning("ONVIF", code=error.code, why=error.message)
            self.facts = replace(self.facts, code=error.code, since=self._clock.utc_now())
        self._whereabouts.failed(error)
        if self._whereabouts.is_away:
            self._search.missed(self._camera.camera_id)
        self._door.doubt()
        delay_s = self._backoff.next_s()
        delay_s = min(delay_s, ASK_LOST_S) if self._whereabouts.is_away else delay_s
        self._due_mono_s = self._clock.monotonic_s() + delay_s

    async def _met_stranger(self, error: CameraStranger) -> None:
        """Somebody else is there: it is ours from now on if a technician says so."""
        self._failed(error)
        if await self.upkeep.is_let_in(self.address):
            await self._keep_later(**self._whereabouts.confirmed())
            self._due_mono_s, self._door.way = 0.0, ""
            self._door.doubt()

    async def _look_elsewhere(self) -> None:
        found_at, candidates = await self._whereabouts.search()
        known = self._memory.identity
        twins = self._search.twins_of(known) if known is not None else ""
        self.facts = replace(self.facts, candidates=candidates, twins=twins)
        if found_at is not None:
            self._due_mono_s = 0.0
            if found_at != self.address:
                self._log.info("camera looked for", at=found_at)
                self._whereabouts.lost()
                await self._keep_later(subscription=None)  # it was at the old address
                await self._use_address(found_at)

    async def _use_address(self, url: str) -> None:
        self._whereabouts.address = url
        if self._door.key.login != self._login:  # changed while it was elsewhere
            self._door.change(self._login)
        self._door.doubt()
        old, self.gate = self.gate, self._new_gate()
        if self._relay_line is not None:
            self._relay_line.close()
            self._relay_line = None
        await old.close()

    def _switch(self, token: str, active: bool) -> None:
        """Switch a relay, in a thread of its guard and over a line of its own."""
        line = self._relay_line
        if line is None:
            line = self._relay_line = self._new_line()
        inputs_outputs.set_relay(line, token, active=active)

    def _new_line(self) -> OnvifLine:
        return OnvifLine(self.address, self._door, self._clock, tls=_tls(self._camera))

    def _new_gate(self) -> CameraGate:
        tls, address, clock, door = _tls(self._camera), self.address, self._clock, self._door

        def make() -> CameraControl:
            from agent.cameras.zeep_backend import ZeepCamera  # noqa: PLC0415 - 13 MB, ONVIF only

            return ZeepCamera(address, door, clock, tls=tls)

        return CameraGate(make, clock, sectors=self._sectors)

    async def _read_memory(self) -> None:
        if self._data_dir is not None:
            folder, name = self._data_dir, self._camera.camera_id
            self._memory = await asyncio.to_thread(memory.load, folder, name)
            self.has_head = self._memory.has_ptz
            self._door.way = self._memory.login_by
            if (last := self._whereabouts.last()) != self.address:
                await self._use_address(last)
        self._has_read = True

    async def _keep_later(self, **changes: Any) -> None:
        await asyncio.to_thread(self._keep, **changes)

    def _keep(self, **changes: Any) -> None:
        """Change what is remembered, and keep it; called in threads."""
        with self._keeping:
            changed = structs.replace(self._memory, **changes)
            if changed == self._memory:
                return
            self._memory = changed
            if self._data_dir is None:
                return
            try:
                memory.save(self._data_dir, self._camera.camera_id, changed)
            except OSError as error:  # it is only found again more slowly after a restart
                self._log.warning("camera not remembered", reason=str(error))


def _rules(camera: CameraSettings) -> tuple[RelayRule, ...]:
    return tuple(
        RelayRule(relay.token, relay.max_on_s, relay.is_on_when_safe) for relay in camera.relays
    )


def _tls(camera: CameraSettings) -> CameraTls:
    return CameraTls(
        camera.tls_ca_file, camera.tls_host, camera.tls_fingerprint, verify=camera.tls_verify
    )
