"""A camera that stores nothing is helped in layers: its streams anew, then its power, then nobody.

stored frames (worker's status) -> here -> `RestartStreams` -> the pole's output that feeds it.

Each step waits longer than the one before. How often power was taken is kept in `box.db`, so that
neither a restart nor a crash of the core makes a box switch a camera forever. Runs in the core.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agent.app.worker_hub import WorkerHub
from agent.core import log
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.core.db import Database, Part
from agent.core.errors import CameraError, CommandError
from agent.health.catalogue import fault_of
from agent.health.fault import Fault
from agent.messages.worker import CameraState, CameraStatus
from agent.pole.outputs import Outputs
from agent.settings.model import CameraSettings

LOOK_S = 5.0
RESTART_AFTER_S, RESTARTS = 60.0, 2  # … at 60 and 120 s without a stored frame
POWER_AFTER_S = 180.0
POWER_WAITS_S = (180.0, 600.0, 1800.0)  # after the first, second, … cycle of a day: back-off
POWER_OFF_S = 10.0  # long enough for the capacitors of a camera and of a PoE injector
CYCLES_PER_DAY = 3
DAY = timedelta(days=1)

# A wrong password or another device needs hands, and power changes neither.
_HANDS = frozenset({CameraState.AUTH_FAILED, CameraState.NOT_A_CAMERA})

PART = Part(
    "camera_watchdog",
    ["CREATE TABLE power_cycles (camera_id TEXT NOT NULL, at TEXT NOT NULL)"],
)

Note = Callable[[str, str, str], Awaitable[None]]  # (operation, outcome, detail), to be audited


@dataclass(slots=True)
class _Watched:
    """One camera: when it last stored something, and what was done about it since."""

    frames_total: int
    stored_s: float
    restarts: int = 0
    cycled_s: float | None = None
    is_spent: bool = False
    lost: str = ""


class CameraWatchdog(Service):
    """Looks every few seconds; what it does is logged, audited and told as a fault."""

    name = "camera-watchdog"

    def __init__(
        self,
        db: Database,
        hub: WorkerHub,
        outputs: Outputs,
        cameras: Callable[[], tuple[CameraSettings, ...]],
        note: Note,
        clock: Clock,
    ) -> None:
        super().__init__(clock)
        self._db, self._hub, self._outputs = db, hub, outputs
        self._cameras, self._note = cameras, note
        self._watched: dict[str, _Watched] = {}
        self._cycles: dict[str, list[datetime]] = {}
        self._log = log.get(self.name)

    async def run(self) -> None:
        self._cycles = await self._db.run(_cycles)
        while True:
            self.progressed()
            for camera in self._cameras():
                await self._look(camera)
            await self._clock.sleep_s(to_tick_s(self._clock, LOOK_S))

    def faults(self) -> Iterator[Fault]:
        """What was done to cameras within a day, and what could not be."""
        for camera in self._cameras():
            camera_id, times = camera.camera_id, len(self._recent(camera.camera_id))
            subject, watched = f"camera/{camera_id}", self._watched.get(camera_id)
            if watched is not None and watched.lost:
                code = "camera.power_output_lost"
                yield fault_of(code, subject, camera=camera_id, reason=watched.lost)
            if watched is not None and watched.is_spent:
                yield fault_of("camera.power_cycles_spent", subject, camera=camera_id, times=times)
            elif times:
                yield fault_of("camera.power_cycled", subject, camera=camera_id, times=times)

    async def _look(self, camera: CameraSettings) -> None:
        now_s, status = self._clock.monotonic_s(), self._hub.status(camera.camera_id)
        watched = self._watched.get(camera.camera_id)
        if watched is None or not camera.record or _is_not_the_camera(status):
            frames = status.recording.frames_total if status else 0
            self._watched[camera.camera_id] = _Watched(frames, now_s)
            return
        if status is not None and status.recording.frames_total not in {0, watched.frames_total}:
            self._watched[camera.camera_id] = _Watched(status.recording.frames_total, now_s)
            return
        if status is None:
            return  # its process is away: the supervisor's work
        silent_s = now_s - watched.stored_s
        if silent_s >= POWER_AFTER_S and camera.power_output:
            await self._take_power(camera, watched, status)
        elif silent_s >= RESTART_AFTER_S * (watched.restarts + 1) and watched.restarts < RESTARTS:
            await self._restart(camera.camera_id, watched, silent_s)

    async def _restart(self, camera_id: str, watched: _Watched, silent_s: float) -> None:
        watched.restarts += 1
        self._log.warning("nothing stored, streams anew", camera=camera_id, for_s=round(silent_s))
        try:
            await self._hub.restart_streams(camera_id)
        except CameraError as error:
            self._log.warning("worker not told", camera=camera_id, code=error.code)

    async def _take_power(
        self, camera: CameraSettings, watched: _Watched, status: CameraStatus
    ) -> None:
        camera_id, now_s = camera.camera_id, self._clock.monotonic_s()
        if status.main.state is CameraState.ONLINE:
            return  # it sends; what hinders the recording is in the box
        times = len(self._recent(camera_id))
        off_s = float("inf") if watched.cycled_s is None else now_s - watched.cycled_s
        if times >= CYCLES_PER_DAY:
            watched.is_spent = off_s >= POWER_WAITS_S[0]  # it had its time to start
            return
        if off_s < POWER_WAITS_S[min(max(times, 1), len(POWER_WAITS_S)) - 1]:
            return
        watched.cycled_s, watched.is_spent = now_s, False
        # Counted before it is done: a crash in between costs a try, not the bound.
        await self._count(camera_id)
        try:
            self._outputs.pulse(camera.power_output, POWER_OFF_S)
        except CommandError as error:
            watched.lost = error.code
            await self._note("camera.power-cycle", "failed", f"{camera_id}: {error.code}")
            return
        watched.lost = ""
        self._log.warning("camera switched off and on", camera=camera_id, times=times + 1)
        detail = f"{camera_id}: no frame stored, {camera.power_output} switched, {times + 1} a day"
        await self._note("camera.power-cycle", "done", detail)

    async def _count(self, camera_id: str) -> None:
        now = self._clock.utc_now()
        self._cycles.setdefault(camera_id, []).append(now)
        await self._db.run(lambda connection: _keep(connection, camera_id, now))

    def _recent(self, camera_id: str) -> list[datetime]:
        now = self._clock.utc_now()
        return [at for at in self._cycles.get(camera_id, ()) if abs(now - at) < DAY]


def _is_not_the_camera(status: CameraStatus | None) -> bool:
    """Say whether it is known that neither a stream nor power would help."""
    if status is None:
        return False
    return status.main.state in _HANDS or bool(status.recording.fault_code)


def _cycles(connection: sqlite3.Connection) -> dict[str, list[datetime]]:
    found: dict[str, list[datetime]] = {}
    for row in connection.execute("SELECT camera_id, at FROM power_cycles ORDER BY at"):
        found.setdefault(row["camera_id"], []).append(datetime.fromisoformat(row["at"]))
    return found


def _keep(connection: sqlite3.Connection, camera_id: str, at: datetime) -> None:
    oldest = (at - 2 * DAY).astimezone(UTC).isoformat()
    connection.execute("DELETE FROM power_cycles WHERE at < ?", (oldest,))
    stamp = at.astimezone(UTC).isoformat()
    connection.execute("INSERT INTO power_cycles (camera_id, at) VALUES (?, ?)", (camera_id, stamp))
