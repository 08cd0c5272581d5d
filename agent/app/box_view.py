"""Answers the page on the box from what the core knows. `None` stays `None`: unknown."""

import asyncio
import math
from collections.abc import Awaitable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from msgspec import structs

from agent import __version__
from agent.app.camera_desk import CameraDesk
from agent.app.supervisor_line import SupervisorLine
from agent.app.watch import Watch
from agent.app.worker_hub import WorkerHub
from agent.buffer import reading as recordings
from agent.buffer.reading import StoredSegment, camera_folder
from agent.cameras.port import DeviceFacts
from agent.contract.events import Phase, StreamName
from agent.contract.grades import grade_with
from agent.core.clock import Clock, utc_at
from agent.core.db import Database
from agent.core.errors import CameraError, StorageError
from agent.events import reading as incidents
from agent.health.fault import Fault, light
from agent.local.web import view
from agent.messages.supervision import ProcessReport
from agent.messages.worker import CameraState
from agent.outbox.writer import Outbox
from agent.settings.load import data_dir_of
from agent.settings.model import CameraSettings
from agent.uplink.link import Link
from hardware.interface import Board

T = TypeVar("T")
U = TypeVar("U")

LATENCIES_KEPT = 200
PATIENCE_S = 1.0
PAGE_PICTURE_WIDTH_PX, PAGE_PICTURE_BYTES = 960, 160 * 1024


class CoreBoxView:
    """Implements `agent.local.web.view.BoxView` in the core process."""

    def __init__(
        self,
        watch: Watch,
        line: SupervisorLine,
        hub: WorkerHub,
        desk: CameraDesk,
        link: Link,
        outbox: Outbox,
        db: Database,
        board: Board,
        clock: Clock,
    ) -> None:
        self._watch, self._line, self._hub, self._desk = watch, line, hub, desk
        self._link, self._outbox, self._db = link, outbox, db
        self._board, self._clock = board, clock

    async def state(self) -> view.BoxState:
        settings, faults = self._watch.settings, self._watch.faults
        deliveries = await _answered(self._outbox.deliveries(StreamName.ALARM), ())
        latencies_ms = [
            (d.acked_mono_s - d.true_mono_s) * 1000
            for d in deliveries[-LATENCIES_KEPT:]
            if d.phase == Phase.NEW.value  # an end is told when nothing came for a while
            and d.acked_mono_s is not None
            and d.true_mono_s is not None
            and d.acked_boot == d.boot
        ]
        return view.BoxState(
            box_id=settings.box,
            site=settings.site,
            version=__version__,
            utc_now=self._clock.utc_now(),
            tq=self._clock.quality(),
            light=view.Light(light(faults).value),
            faults=tuple(_fault(fault) for fault in faults),
            cameras=tuple(self._camera(camera) for camera in settings.cameras),
            link=self._link_view(),
            outbox=await self._outbox_view(),
            latency=view.LatencyView(
                p50_ms=percentile(latencies_ms, 50), p95_ms=percentile(latencies_ms, 95)
            ),
            processes=tuple(self._process(report) for report in self._line.processes),
            disk=self._disk(),
            board=self._board_view(),
            hardware=self._watch.board_sample,
        )

    async def live(self, camera_id: str) -> view.LivePicture | None:
        camera = self._watch.settings.camera(camera_id)
        if camera is None:
            return None
        try:
            reply = await self._hub.picture(camera_id, PAGE_PICTURE_WIDTH_PX, PAGE_PICTURE_BYTES)
        except CameraError:
            return None
        assert reply.jpeg is not None  # noqa: S101 - the hub raises when there is none
        still_open = await _answered(self._db.run(lambda c: incidents.open_ones(c, camera_id)), ())
        capacity = self._watch.capacity
        is_measured = capacity is None or capacity.is_measured
        open_rules = {rule for incident in still_open for rule in incident.rules_of(camera_id)}
        return view.LivePicture(
            jpeg=reply.jpeg,
            taken_mono_s=reply.taken_mono_s,
            width_px=reply.width_px,
            height_px=reply.height_px,
            objects=tuple(
                view.LiveObject(
                    label=thing.label,
                    score=round(thing.score, 3),
                    region=thing.region,
                    track_id=thing.track_id,
                )
                for thing in reply.objects
            ),
            zones=tuple(
                view.LiveZone(
                    rule_id=rule.rule_id,
                    polygon=rule.outline,
                    is_active=rule.rule_id in open_rules,
                    grade=grade_with(rule.kind, is_measured=is_measured) or rule.grade,
                )
                for rule in camera.rules
                if rule.is_on and rule.outline
            ),
        )

    async def timeline(self, camera_id: str, last_s: float) -> view.Timeline | None:
        settings = self._watch.settings
        if settings.camera(camera_id) is None:
            return None
        until = self._clock.utc_now()
        began = until - timedelta(seconds=last_s)
        folder = camera_folder(data_dir_of(settings), camera_id)
        try:
            segments = await asyncio.to_thread(recordings.segments, folder, began, until)
            first = segments[0].start_at if segments else until
            of_sub = await asyncio.to_thread(recordings.segments, folder, began, first, "sub")
            gaps = await asyncio.to_thread(recordings.gaps, folder, began, until)
        except StorageError:
            segments, of_sub, gaps = [], [], []
        events = await _answered(
            self._db.run(lambda c: incidents.of_camera(c, camera_id, began)), ()
        )
        return view.Timeline(
            began=began,
            until=until,
            segments=_spans((s for s in segments if not s.is_held), until),
            sub_segments=_spans(of_sub, first),
            held_segments=_spans((s for s in segments if s.is_held), until),
            gaps=tuple(
                view.TimelineGap(began=gap.since, until=gap.until, cause=gap.cause) for gap in gaps
            ),
            events=tuple(
                view.TimelineEvent(
                    began=i.started_at, until=i.ended_at, kind=i.kind, event_id=i.event_id
                )
                for i in events
            ),
        )

    async def events(self, limit: int) -> tuple[view.EventView, ...]:
        found = await _answered(self._db.run(lambda c: incidents.latest(c, limit)), ())
        return tuple(
            view.EventView(
                event_id=i.event_id,
                kind=i.kind,
                phase="end" if i.ended_at else "new",
                began=i.started_at,
                ended=i.ended_at,
                camera_id=i.camera_id,
                rule_id=i.rule_id,
                labels=i.labels,
                detail=i.detail,
                grade=i.grade,
                has_picture=i.has_picture,
            )
            for i in found
        )

    async def picture(self, event_id: str) -> bytes | None:
        return await _answered(self._db.run(lambda c: incidents.picture(c, event_id)), None)

    async def event_camera(self, event_id: str) -> str | None:
        return await _answered(self._db.run(lambda c: incidents.camera_of(c, event_id)), None)

    def _camera(self, camera: CameraSettings) -> view.CameraView:
        status = self._hub.status(camera.camera_id)
        facts = self._desk.facts(camera.camera_id)
        device = facts.device if facts else None
        known = view.CameraView(
            camera_id=camera.camera_id,
            name=camera.name or camera.camera_id,
            has_ptz=bool(device and device.has_ptz),
            is_simulated=device is not None and _says_simulated(device),
        )
        if status is None:
            return known
        state = view.CameraState(status.main.state.value)
        sub_is_bad = status.sub is not None and status.sub.state is not CameraState.ONLINE
        if state is view.CameraState.ONLINE and (sub_is_bad or status.recording.fault_code):
            state = view.CameraState.DEGRADED
        return structs.replace(
            known,
            state=state,
            since=status.main.since,
            is_recording=status.recording.recording,
            is_event_only=status.recording.mode == "events",
            recorded_s=status.recording.recorded_s,
            sub_fps=status.sub.fps if status.sub else None,
            gaps=status.recording.gaps_total,
            detections=status.detection.objects_total,
            detector=status.detection.state,
            shed_share=status.detection.shed_share,
            trials=self._trials(camera.camera_id),
        )

    def _trials(self, camera_id: str) -> tuple[view.TrialView, ...]:
        alarms = self._watch.alarms
        return tuple(
            view.TrialView(
                rule_id=trial.rule_id,
                raised=trial.raised,
                lasted_days=trial.lasted_days,
                days=trial.days,
            )
            for trial in (alarms.sample(camera_id).trials if alarms else ())
        )

    def _link_view(self) -> view.LinkView:
        status = self._link.status
        return view.LinkView(
            is_connected=status.connected,
            endpoint=status.endpoint,
            since=utc_at(self._clock, status.since_mono_s),
            last_error=str(status.error) if status.error else None,
        )

    async def _outbox_view(self) -> view.OutboxView:
        counts = await _answered(self._outbox.counts(), None)
        if counts is None:
            return view.OutboxView()
        sample = self._outbox.sum_up(counts)
        return view.OutboxView(
            queued={stream.value: count.waiting for stream, count in counts.items()},
            oldest_age_s=sample.oldest_s,
            acked=sample.acked_total,
            evicted=sample.evicted_total,
        )

    def _process(self, report: ProcessReport) -> view.ProcessView:
        vitals = self._watch.vitals
        uses = vitals.processes if vitals else ()
        use = next((u for u in uses if u.pid == report.pid), None)
        return view.ProcessView(
            name=report.name,
            state=report.state.value,
            pid=report.pid,
            restarts=report.restarts,
            pss_mib=round(use.pss_bytes / 1024**2, 1) if use and use.pss_bytes else None,
            cpu_pct=use.cpu_pct if use else None,
        )

    def _disk(self) -> view.DiskView:
        vitals = self._watch.vitals
        return view.DiskView(
            free_bytes=vitals.disk_free_bytes if vitals else None,
            total_bytes=vitals.disk_total_bytes if vitals else None,
            recorded_bytes=sum(s.recording.bytes_total for s in self._hub.statuses()),
        )

    def _board_view(self) -> view.BoardView:
        vitals = self._watch.vitals
        identity = self._board.identity
        sample = vitals.board_sample() if vitals else None
        return view.BoardView(
            name=identity.model or identity.kind.value,
            is_simulated=identity.is_simulated,
            temperature_c=sample.temperature_c if sample else None,
            is_throttled=sample.throttled if sample else None,
            voltage_v=vitals.power.rails[0].volts if vitals and vitals.power.rails else None,
            is_undervolted=sample.undervoltage if sample else None,
        )


async def _answered(asked: Awaitable[T], unknown: U) -> T | U:
    """Return what the database says, `unknown` when the disk does not answer: the page goes on."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await asked
    except TimeoutError:
        return unknown


def _spans(
    segments: Iterable[StoredSegment], until: datetime
) -> tuple[tuple[datetime, datetime], ...]:
    return tuple((one.start_at, min(one.end_at or until, until)) for one in segments)


def _says_simulated(device: DeviceFacts) -> bool:
    return "simulat" in f"{device.manufacturer} {device.model}".lower()


def percentile(values: Sequence[float], share_pct: float) -> float | None:
    """Return the nearest-rank percentile, None of nothing."""
    if not values:
        return None
    rank = max(1, math.ceil(len(values) * share_pct / 100))
    return round(sorted(values)[rank - 1], 1)


def _fault(fault: Fault) -> view.Fault:
    subject, _, camera_id = fault.subject.partition("/")
    return view.Fault(
        code=fault.code,
        sentence_en=fault.sentence_en,
        sentence_ko=fault.sentence_ko,
        hint_en=fault.hint_en,
        hint_ko=fault.hint_ko,
        light=view.Light(fault.severity.value),
        camera_id=camera_id if subject == "camera" else None,
    )
