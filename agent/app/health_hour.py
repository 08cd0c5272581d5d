"""The hourly roll-up of the box's health: a look a minute, a record an hour. In the core."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from agent.contract.events import StreamName
from agent.contract.rollup import CameraHour, HealthHour, HealthRecord, Spread
from agent.contract.telemetry import BoardSample, CameraState
from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.errors import StorageError
from agent.core.ids import new_ulid
from agent.messages.worker import CameraStatus
from agent.outbox.writer import Outbox

LOOK_EVERY_S = 60.0
TELL_EVERY_S = 3600.0
_LEAST_S = 600.0  # an agent that starts again and again does not fill the outbox with it
_MB = 1e6
_OF_BOARD = (
    ("temperature_c", "temperature_c", 1.0),
    ("cpu_pct", "cpu_pct", 1.0),
    ("memory_free_mb", "memory_free_bytes", _MB),
    ("disk_free_mb", "disk_free_bytes", _MB),
)


@dataclass(frozen=True, slots=True)
class Look:
    """What the box knows of itself at one moment. A camera whose worker is silent has no status."""

    board: BoardSample | None
    cameras: Sequence[str]
    statuses: Sequence[CameraStatus]
    is_connected: bool
    connects_total: int
    puback_ms: float | None
    ack_ms: float | None


@dataclass(slots=True)
class _CameraSum:
    looks: int = 0  # those with this camera; it may have come in the middle of the hour
    online: int = 0
    recording: int = 0
    frames: int = 0
    gaps: int = 0
    main_fps: list[float] = field(default_factory=list)
    sub_fps: list[float] = field(default_factory=list)
    counts: tuple[int, int] | None = None  # frames and gaps of the worker at the last look

    def take(self, status: CameraStatus) -> None:
        self.online += status.main.state.value == CameraState.ONLINE
        self.recording += status.recording.recording
        counts = status.main.frames_total, status.recording.gaps_total
        before = self.counts or counts
        is_new_worker = counts[0] < before[0]  # its counters begin at nought
        self.frames += counts[0] - (0 if is_new_worker else before[0])
        self.gaps += counts[1] - (0 if is_new_worker else before[1])
        self.counts = counts
        if status.main.fps is not None:
            self.main_fps.append(status.main.fps)
        if status.sub is not None and status.sub.fps is not None:
            self.sub_fps.append(status.sub.fps)


class HourSum:
    """One hour in the making. Counters go on from where `before` left them."""

    def __init__(self, since_mono_s: float, before: "HourSum | None") -> None:
        self.since_mono_s, self.looks = since_mono_s, 0
        self.connects: int | None = before.connects if before else None
        known: dict[str, _CameraSum] = before.cameras if before else {}
        self.cameras: dict[str, _CameraSum] = {
            one: _CameraSum(counts=known[one].counts) for one in known
        }
        self._connects_before = self.connects
        self._connected = 0
        self._seen: dict[str, list[float]] = {}

    def take(self, look: Look) -> None:
        """Add one look."""
        self.looks += 1
        self._connected += look.is_connected
        self.connects = look.connects_total
        if self._connects_before is None:
            self._connects_before = look.connects_total
        for name, field_name, unit in _OF_BOARD:
            self._saw(name, getattr(look.board, field_name, None), unit)
        if look.is_connected:
            self._saw("puback_ms", look.puback_ms)
            self._saw("ack_ms", look.ack_ms)
        statuses = {status.camera_id: status for status in look.statuses}
        self.cameras = {one: self.cameras.get(one, _CameraSum()) for one in look.cameras}
        for camera_id, camera in self.cameras.items():
            camera.looks += 1
            if camera_id in statuses:
                camera.take(statuses[camera_id])

    def _saw(self, name: str, value: float | None, unit: float = 1.0) -> None:
        if value is not None:
            self._seen.setdefault(name, []).append(value / unit)

    def data(self, now: datetime, now_mono_s: float) -> HealthHour:
        """Return what it came to; at least one look was taken. The clock of now says since when."""
        lasted_s = round(now_mono_s - self.since_mono_s)
        return HealthHour(
            since=now - timedelta(seconds=lasted_s),
            lasted_s=lasted_s,
            looks=self.looks,
            connected_share=_share(self._connected, self.looks),
            connects=(self.connects or 0) - (self._connects_before or 0),
            **{name: spread_of(values) for name, values in self._seen.items()},
            cameras=tuple(
                CameraHour(
                    camera_id=camera_id,
                    frames=one.frames,
                    online_share=_share(one.online, one.looks),
                    recording_share=_share(one.recording, one.looks),
                    main_fps=spread_of(one.main_fps),
                    sub_fps=spread_of(one.sub_fps),
                    gaps=one.gaps,
                )
                for camera_id, one in self.cameras.items()
            ),
        )


def _share(count: int, looks: int) -> float:
    return round(count / looks, 3)


def spread_of(values: Iterable[float]) -> Spread | None:
    """Return the spread, to a tenth; None of nothing."""
    found = list(values)
    if not found:
        return None
    return Spread(*(round(one, 1) for one in (min(found), sum(found) / len(found), max(found))))


class HealthReporter(Service):
    """`look` returns what is known now."""

    name = "health-hour"

    def __init__(self, clock: Clock, outbox: Outbox, source: str, look: Callable[[], Look]) -> None:
        super().__init__(clock)
        self._outbox, self._source, self._look = outbox, source, look
        self._hour = HourSum(clock.monotonic_s(), None)
        self._log = log.get(self.name)

    async def run(self) -> None:
        while True:
            await self._clock.sleep_s(LOOK_EVERY_S)
            self._hour.take(self._look())
            if self._lasted_s() >= TELL_EVERY_S:
                try:
                    await self._tell()
                except StorageError as error:  # the hour goes on, and is told a minute later
                    self._log.error("hour not told", code=error.code, detail=error.message)
            self.progressed()

    async def stop(self) -> None:
        """Tell what there is; a kill loses it, and telemetry of that time mostly arrived."""
        if self._hour.looks and self._lasted_s() >= _LEAST_S:
            with suppress(StorageError):
                await self._tell()

    def _lasted_s(self) -> float:
        return self._clock.monotonic_s() - self._hour.since_mono_s

    async def _tell(self) -> None:
        now, now_mono_s = self._clock.utc_now(), self._clock.monotonic_s()
        data = self._hour.data(now, now_mono_s)
        record_id = new_ulid(now)

        def build(seq: int) -> bytes:
            record = HealthRecord(
                id=record_id,
                source=self._source,
                time=now,
                seq=seq,
                epoch=self._outbox.epoch,
                boot=self._outbox.boot,
                tq=self._clock.quality(),
                data=data,
            )
            return msgspec.json.encode(record)

        await self._outbox.append(StreamName.TELEMETRY, build, event_id=record_id)
        self._hour = HourSum(now_mono_s, self._hour)
