"""What the box knows of itself: vitals and faults every few seconds, and telemetry made of it."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from agent.app.alarm_watch import AlarmWatch
from agent.app.camera_desk import CameraDesk
from agent.app.looks_told import LooksTold
from agent.app.model_watch import ModelWatch
from agent.app.supervisor_line import SupervisorLine
from agent.app.worker_hub import WorkerHub
from agent.contract.telemetry import (
    BoardSample,
    CameraSample,
    CameraState,
    DataSample,
    FaultSample,
    LinkSample,
    OutboxSample,
    Telemetry,
    UploadSample,
)
from agent.core.clock import Clock, to_tick_s, utc_at
from agent.core.component import Service
from agent.core.disk_wait import DiskWait
from agent.enrol.renewal import CertificateRenewal
from agent.health import care, checks, onvif, pole
from agent.health.fault import Fault, keep_since
from agent.health.vitals import Vitals, VitalsReader
from agent.messages.capacity import CAPACITY_FILE, DetectorCapacity
from agent.outbox.writer import Outbox
from agent.settings.model import Settings
from agent.uplink.link import Link
from agent.uplink.presence import Presence
from agent.uplink.sender import Sender
from agent.uploads.sender import Backlog

LOOK_EVERY_S = 5.0
PATIENCE_S = 3.0  # with a disk that may not answer
FAULTS_TOLD = 8  # red first; a sample must fit its 4 KiB


class Watch(Service):
    """Keeps `vitals`, `faults` and `outbox` fresh for the page and the telemetry."""

    name = "health"

    def __init__(
        self,
        settings: Settings,
        reader: VitalsReader,
        line: SupervisorLine,
        hub: WorkerHub,
        desk: CameraDesk,
        link: Link,
        sender: Sender,
        outbox: Outbox,
        renewal: CertificateRenewal,
        run_folder: Path,
        clock: Clock,
    ) -> None:
        super().__init__(clock)
        self.settings = settings
        self._reader, self._line, self._hub, self._desk = reader, line, hub, desk
        self._link, self._sender, self._outbox = link, sender, outbox
        self._renewal, self._run_folder = renewal, run_folder
        self.vitals: Vitals | None = None
        self.faults: list[Fault] = []
        self.outbox_sample: OutboxSample | None = None
        self.capacity: DetectorCapacity | None = None
        self._model = ModelWatch(clock)
        self.uploads: Callable[[], Backlog] = Backlog
        self.alarms: AlarmWatch | None = None
        self.disk: DiskWait | None = None
        self.pole: Callable[[], Iterable[Fault]] = tuple
        self.with_pole: Callable[[BoardSample], BoardSample] = lambda sample: sample
        self.data: Callable[[], DataSample | None] = lambda: None
        self.center_ahead: Callable[[], float | None] = lambda: None
        self.read_back: Callable[[], str] = str
        self._evicted_before = 0
        self._has_looked = asyncio.Event()
        self._looks_before: dict[str, LooksTold] = {}

    async def run(self) -> None:
        while True:
            pids = {p.name: p.pid for p in self._line.processes if p.pid is not None}
            wanted = self.settings.detector.model
            self.vitals, self.capacity = await asyncio.to_thread(self._look_around, pids, wanted)
            self.outbox_sample = await self._sample_outbox()
            self.faults = keep_since(self._find(), self.faults, self._clock.utc_now())
            self._has_looked.set()
            self.progressed()
            await self._clock.sleep_s(to_tick_s(self._clock, LOOK_EVERY_S))

    async def telemetry(self, presence: Presence) -> Telemetry:
        """Return one sample for the center; what is not known is None.

        The first one waits a moment for the first look: it may be the only one for minutes.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await self._has_looked.wait()
        vitals = self.vitals
        restarts = {p.name: p.restarts for p in self._line.processes}
        now_s = self._clock.monotonic_s()
        outbox = await self._sample_outbox()
        status = self._link.status
        return Telemetry(
            t=self._clock.utc_now(),
            mono=round(now_s, 3),
            tq=self._clock.quality(),
            state=presence.state,
            cameras=tuple(
                self._camera_sample(camera.camera_id) for camera in self.settings.cameras
            ),
            link=LinkSample(
                endpoint=status.endpoint,
                line=status.line,
                connects_total=status.connects_total,
                connected_s=round(now_s - status.since_mono_s, 1) if status.connected else None,
                puback_ms=_rounded(status.puback_ms),
                ack_ms=_rounded(self._sender.ack_ms),
                last_error=status.error.code if status.error else "",
                mqtt=status.mqtt,
                data=self.data(),
            ),
            outbox=outbox,
            uploads=_upload_sample(self.uploads()),
            board=self.board_sample,
            processes=() if vitals is None else vitals.process_samples(restarts),
            detector_ms=None if self.capacity is None else self.capacity.inference_ms,
            detector_engine=_engine_word(self.capacity),
            clock_ahead_s=_rounded(self.center_ahead()),
            read_back=self.read_back(),
            faults=tuple(
                FaultSample(
                    code=fault.code,
                    subject=fault.subject,
                    severity=fault.severity.value,
                    since=fault.since,
                )
                for fault in self.faults[:FAULTS_TOLD]
            ),
            faults_untold=max(0, len(self.faults) - FAULTS_TOLD),
        )

    @property
    def board_sample(self) -> BoardSample | None:
        """What is told of the board and of what hangs on the pole; None before the first look."""
        return None if self.vitals is None else self.with_pole(self.vitals.board_sample())

    async def _sample_outbox(self) -> OutboxSample | None:
        """Return how the outbox stands, or stood when the disk last answered."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                return await self._outbox.sample(self._sender.resent_total)
        return self.outbox_sample

    @property
    def facts(self) -> object:
        """What the center must not believe wrongly: cameras, pole, restarts, what is wrong.

        Compare it; a change is told with the next sample, which then comes soon.
        """
        cameras = [
            (s.camera_id, s.main.state, s.recording.recording, s.detection.state)
            for s in self._hub.statuses()
        ]
        faults = sorted((fault.code, fault.subject) for fault in self.faults)
        restarts = [(p.name, p.restarts) for p in self._line.processes]
        known = self.vitals
        mute = known and (known.silent, known.lost_sensors, known.lost_parts)
        told = self.read_back()
        return cameras, self.with_pole(BoardSample()), restarts, faults, mute, told

    def _camera_sample(self, camera_id: str) -> CameraSample:
        status = self._hub.status(camera_id)
        if status is None:
            return CameraSample(camera_id=camera_id, state=CameraState.UNKNOWN)
        facts = self._desk.facts(camera_id)
        looks = LooksTold.of(status, self._clock.monotonic_s())
        before, self._looks_before[camera_id] = self._looks_before.get(camera_id), looks
        return CameraSample(
            camera_id=camera_id,
            state=CameraState(status.main.state.value),
            since=status.main.since,
            code=status.main.code or "",
            detail=status.main.detail or "",
            recording=status.recording.recording,
            detecting=status.detection.state == "ready",
            alarms=self.alarms.sample(camera_id) if self.alarms else None,
            counters=status.detection.counters,
            main_fps=status.main.fps,
            sub_fps=status.sub.fps if status.sub else None,
            detect_fps=looks.fps_since(before),
            shed_share=looks.shed_share_since(before),
            gaps_total=status.recording.gaps_total,
            clock_ahead_s=_rounded(facts.clock_ahead_s) if facts else None,
        )

    def _find(self) -> Iterator[Fault]:
        statuses = self._hub.statuses()
        for status in statuses:
            yield from checks.camera_faults(status)
            camera = self.settings.camera(status.camera_id)
            if camera is not None and camera.record:
                now, now_s = self._clock.utc_now(), self._clock.monotonic_s()
                yield from checks.unrecorded_faults(status, now, now_s)
        yield from checks.detector_faults(statuses, self.capacity)
        yield from self._model.faults()
        yield from self._onvif_faults()
        yield from checks.process_faults(self._line.processes)
        link_is_up = self._link.status.connected
        yield from checks.link_faults(self._link_facts())
        yield from self._outbox_faults(link_is_up=link_is_up)
        backlog = self.uploads()
        yield from checks.upload_faults(backlog.waiting, backlog.held)
        yield from self._board_faults()
        yield from self.pole()
        if self.alarms is not None:
            yield from self.alarms.faults()

    def _onvif_faults(self) -> Iterator[Fault]:
        for camera in self.settings.cameras:
            facts = self._desk.facts(camera.camera_id)
            if facts is not None and facts.code is not None:
                yield from checks.onvif_faults(camera.camera_id, facts.code, facts.since)
                status, now = self._hub.status(camera.camera_id), self._clock.utc_now()
                if status is not None:
                    yield from checks.control_faults(status, facts.code, facts.since, now)
            elif facts is not None:
                yield from checks.camera_clock_faults(camera.camera_id, facts.clock_ahead_s)
            if facts is not None:
                yield from onvif.place_faults(
                    camera.camera_id,
                    is_exchanged=facts.is_exchanged,
                    candidates=facts.candidates,
                    drift=facts.drift,
                    twins=facts.twins,
                )
                allowed = camera.record_audio
                yield from onvif.stream_faults(
                    camera.camera_id, facts.warnings, audio_allowed=allowed
                )
            ears = self._desk.ears(camera.camera_id)
            if ears is not None:
                has_bells = bool(camera.bell_inputs)
                code = ears.status.code
                yield from onvif.event_faults(camera.camera_id, code, has_bells=has_bells)

    def _board_faults(self) -> Iterator[Fault]:
        vitals = self.vitals
        if vitals is None:
            return
        was_hot = any(fault.code in {"board.hot", "board.too_hot"} for fault in self.faults)
        yield from checks.temperature_faults(vitals.temperatures, was_hot=was_hot)
        yield from checks.power_faults(vitals.power)
        yield from care.board_faults(vitals.silent, vitals.lost_sensors, vitals.lost_parts)
        yield from pole.fan_faults(vitals.fans)
        yield from pole.supply_faults(vitals.supplies)
        yield from pole.watchdog_faults(vitals.watchdogs)
        yield from pole.wear_faults(vitals.storage)
        yield from checks.center_clock_faults(self.center_ahead())
        yield from checks.clock_faults(self._clock.quality())
        now, quality = self._clock.utc_now(), self._clock.quality()
        yield from checks.clock_chip_faults(vitals.clock_chip, now, quality)
        yield from checks.disk_faults(
            checks.DiskFacts(
                free_bytes=vitals.disk_free_bytes,
                min_free_bytes=self.settings.buffer.min_free_bytes,
                storage=vitals.storage,
                is_stuck=self.disk is not None and self.disk.is_stuck,
                free_inodes=vitals.disk_free_inodes,
                inodes=vitals.disk_inodes or 0,
            )
        )

    def _link_facts(self) -> checks.LinkFacts:
        status = self._link.status
        return checks.LinkFacts(
            is_up=status.connected,
            down_s=0.0 if status.connected else self._clock.monotonic_s() - status.since_mono_s,
            code=status.error.code if status.error else None,
            since=utc_at(self._clock, status.since_mono_s),
            has_twin=status.has_twin,
            unheard_s=self._sender.unheard_s,
            certificate_days=self._certificate_days(),
            data=self.data(),
        )

    def _certificate_days(self) -> int | None:
        ends_at = self._renewal.ends_at
        return None if ends_at is None else (ends_at - self._clock.utc_now()).days

    def _outbox_faults(self, *, link_is_up: bool) -> Iterator[Fault]:
        sample = self.outbox_sample
        if sample is None:
            return
        evicted_new = sample.evicted_total - self._evicted_before
        if sample.waiting == 0:  # told until all that is left has reached the center
            self._evicted_before = sample.evicted_total
        facts = checks.OutboxFacts(
            waiting=sample.waiting,
            used_bytes=sample.waiting_bytes,
            max_bytes=self.settings.outbox.max_bytes,
            oldest_s=sample.oldest_s,
            evicted_new=evicted_new,
        )
        yield from checks.outbox_faults(facts, link_is_up=link_is_up)

    def _look_around(
        self, pids: Mapping[str, int], wanted_model: str
    ) -> tuple[Vitals, DetectorCapacity | None]:
        """Read all that lies in files, in one go: each way to a thread and back costs."""
        vitals, capacity = self._reader.read(pids), self._read_capacity()
        self._model.look(wanted_model, capacity)
        return vitals, capacity

    def _read_capacity(self) -> DetectorCapacity | None:
        try:
            content = (self._run_folder / CAPACITY_FILE).read_bytes()
            return msgspec.json.decode(content, type=DetectorCapacity)
        except (OSError, msgspec.MsgspecError):
            return None


def _upload_sample(backlog: Backlog) -> UploadSample:
    return UploadSample(
        waiting=backlog.waiting,
        waiting_bytes=backlog.waiting_bytes,
        held=backlog.held,
        sent_bytes_total=backlog.sent_bytes_total,
    )


def _engine_word(capacity: DetectorCapacity | None) -> str:
    return "" if capacity is None else capacity.engine or "motion-only"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
