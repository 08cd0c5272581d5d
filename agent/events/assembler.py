"""Rule hits and camera states become incidents. Runs in the core process.

A rule that stays true is one incident, whatever the tracker, the worker or the link does meanwhile:
a worker that comes back and sees the same again only updates it.
"""

import sqlite3
from collections.abc import Callable

from agent.contract.events import (
    CapCertainty,
    CapSeverity,
    CapUrgency,
    EventKind,
    Picture,
    StreamName,
)
from agent.core import log
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.core.db import Database
from agent.events import picture_faults, pole_signals, rule_hits
from agent.events.alarms import Alarms
from agent.events.happening import Happening
from agent.events.incidents import Incidents
from agent.events.rations import Rations
from agent.events.shadow import Trial
from agent.messages.picture import PictureFinding
from agent.messages.pole import ContactState, PoleSignal
from agent.messages.vision import HitState, RuleHit
from agent.messages.worker import CameraState, CameraStatus
from agent.settings.model import Settings

LOST_AFTER_S = 5.0  # a camera away for less is a hiccup, not an event
WORKER_SILENT_S = 15.0
SWEEP_S = 1.0


class Assembler(Service):
    """Takes hits (durably) and camera states; ends what nobody confirms."""

    name = "events.assembler"

    def __init__(
        self, db: Database, incidents: Incidents, clock: Clock, *, thumbnails: bool
    ) -> None:
        super().__init__(clock)
        self._db, self.incidents, self._thumbnails = db, incidents, thumbnails
        self._alarms = Alarms(incidents, clock)
        self._log = log.get(self.name)
        self._watch: dict[str, _CameraWatch] = {}
        self._may_be_open = False
        self.subject_of: Callable[[str, int], tuple[str, float] | None] = _nobody

    @property
    def rations(self) -> Rations:
        """What of the alarms is limited just now."""
        return self._alarms.rations

    def use(self, settings: Settings) -> None:
        """Take over how alarms are merged, limited and tried in the shadow, also while running."""
        self._alarms.use(settings)
        self._may_be_open = True

    async def take(self, hit: RuleHit) -> str | None:
        """Commit what a hit means; returns when it is on the disk. Raises `StorageError`.

        Returns the incident that a beginning began or joined, None when it raised none.
        """
        self._may_be_open = True
        what = rule_hits.happening(hit, thumbnails=self._thumbnails, subject_of=self.subject_of)
        event_id = await self._db.run(lambda c: self._alarms.take(c, hit, what))
        if event_id is not None:
            self._log.info("incident", event_id=event_id, camera=hit.camera_id, rule=hit.rule_id)
        return event_id

    async def take_finding(self, finding: PictureFinding) -> None:
        """Commit what a finding about a camera's picture means. Raises `StorageError`."""
        what = picture_faults.happening(finding, thumbnails=self._thumbnails)

        def commit(connection: sqlite3.Connection) -> None:
            if finding.state is HitState.ENDED:
                self.incidents.end(connection, what)
            elif not self.incidents.go_on(connection, what):
                self.incidents.begin(connection, what)

        self._may_be_open = True
        await self._db.run(commit)

    async def take_contact(self, signal: PoleSignal, picture: Picture | None) -> None:
        """Commit what a contact of the pole means. Raises `StorageError`."""
        what = pole_signals.happening(signal, picture if self._thumbnails else None)
        if signal.state is ContactState.ACTIVE:
            event_id = await self._db.run(lambda c: self.incidents.begin(c, what))
            self._log.info("incident", event_id=event_id, contact=signal.input_id)
        else:
            await self._db.run(lambda c: self.incidents.end(c, what))

    def trials(self, connection: sqlite3.Connection) -> list[Trial]:
        """Return every rule with a shadow time; within the caller's transaction."""
        return self._alarms.trials(connection)

    def expect(self, camera_id: str) -> None:
        """Take note that a camera should be there: silence about it becomes an event."""
        self._watch.setdefault(camera_id, _CameraWatch(self._clock.monotonic_s()))

    def forget(self, camera_id: str) -> None:
        """Drop a camera that the settings no longer know."""
        self._watch.pop(camera_id, None)

    def saw(self, status: CameraStatus) -> None:
        """Note a worker's word on its camera; `run` makes events of it."""
        watch = self._watch.setdefault(status.camera_id, _CameraWatch(self._clock.monotonic_s()))
        watch.saw(status, self._clock.monotonic_s())

    async def run(self) -> None:
        """Once a second: tell of cameras lost and found, end what nobody confirms."""
        self._may_be_open = True  # an earlier run's incidents
        while True:
            self.progressed()
            for camera_id, watch in list(self._watch.items()):
                await self._check(camera_id, watch)
            if self._may_be_open:
                await self._sweep()
            await self._clock.sleep_s(to_tick_s(self._clock, SWEEP_S))

    async def _sweep(self) -> None:
        known, self._may_be_open = frozenset(self._watch), False
        still_open = await self._db.run(lambda c: self._sweep_in(c, known))
        self._may_be_open = self._may_be_open or still_open  # what came meanwhile set it anew

    def _sweep_in(self, connection: sqlite3.Connection, known: frozenset[str]) -> bool:
        self._alarms.settle(connection)
        self.incidents.end_forgotten(connection, picture_faults.CONFIRM_S, picture_faults.KEY)
        self.incidents.end_unknown(connection, "camera/", known)
        self.incidents.end_unknown(connection, picture_faults.KEY, known)
        return self.incidents.any_open(connection)

    async def _check(self, camera_id: str, watch: "_CameraWatch") -> None:
        now_s = self._clock.monotonic_s()
        lost = watch.lost(now_s)
        if lost is not None:
            if watch.is_told != lost:
                what, self._may_be_open = self._camera_happening(camera_id, *lost), True
                await self._db.run(lambda c: self.incidents.begin(c, what))
                watch.is_told = lost
        elif watch.is_online and watch.is_told is not False:
            what = self._camera_happening(camera_id, "", "", reason="camera-back")
            await self._db.run(lambda c: self.incidents.end(c, what))
            watch.is_told = False

    def _camera_happening(
        self, camera_id: str, code: str, detail: str, *, reason: str | None = None
    ) -> Happening:
        return Happening(
            key=f"camera/{camera_id}",
            subject=camera_id,
            kind=EventKind.CAMERA_LOST,
            at=self._clock.utc_now(),
            mono_s=self._clock.monotonic_s(),
            tq=self._clock.quality(),
            stream=StreamName.EVENT,
            code=code or None,
            detail=detail or None,
            reason=reason,
            severity=CapSeverity.MINOR,
            urgency=CapUrgency.EXPECTED,
            certainty=CapCertainty.OBSERVED,
        )


def _nobody(_camera_id: str, _track_id: int) -> None:
    """Nobody is linked while no one looks for it."""


class _CameraWatch:
    """Since when one camera is away. `is_told`: what the center was told last; None: nothing."""

    def __init__(self, now_s: float) -> None:
        self._heard_s = now_s
        self._away_since_s: float | None = now_s
        self._code, self._detail = "camera.unknown", "The camera has not been seen yet."
        self.is_told: tuple[str, str] | bool | None = None

    @property
    def is_online(self) -> bool:
        """Whether its stream was there at the worker's last word."""
        return self._away_since_s is None

    def saw(self, status: CameraStatus, now_s: float) -> None:
        self._heard_s = now_s
        if status.main.state is CameraState.ONLINE:
            self._away_since_s = None
            return
        if self._away_since_s is None:
            self._away_since_s = now_s
        if status.main.code is not None:
            self._code, self._detail = status.main.code, status.main.detail or ""

    def lost(self, now_s: float) -> tuple[str, str] | None:
        """Return (code, detail) once it is away long enough to be told."""
        if now_s - self._heard_s > WORKER_SILENT_S:
            return "camera.worker_silent", "The camera's process on the box does not answer."
        if self._away_since_s is not None and now_s - self._away_since_s > LOST_AFTER_S:
            return self._code, self._detail
        return None
