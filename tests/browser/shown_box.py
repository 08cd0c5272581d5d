"""A box to look at: answers like the core's, made up, with real JPEG pictures of a moving scene."""

import io
from datetime import timedelta

import av
import numpy as np

from agent.contract.events import Region, TimeQuality
from agent.core.clock import SystemClock
from agent.local.web.view import (
    BoardView,
    BoxState,
    CameraState,
    CameraView,
    DiskView,
    EventView,
    Fault,
    LatencyView,
    Light,
    LinkView,
    LiveObject,
    LivePicture,
    LiveZone,
    OutboxView,
    ProcessView,
    Timeline,
    TimelineEvent,
    TimelineGap,
    TrialView,
)

WIDTH_PX, HEIGHT_PX = 320, 240
EVENT_ID = "01JD8Z3V7K5M2Q9W4R6T8Y0B1C"


def jpeg_of(step: int) -> bytes:
    """Return a JPEG of a bright square at `step` on a graded ground."""
    picture = np.empty((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    picture[...] = np.linspace(40, 140, WIDTH_PX, dtype=np.uint8)[None, :, None]
    left = 10 + step * 7 % (WIDTH_PX - 60)
    picture[90:170, left : left + 40] = (230, 190, 120)
    out = io.BytesIO()
    with av.open(out, "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        container.mux(stream.encode(frame.reformat(format="yuvj420p")))
        container.mux(stream.encode(None))
    return out.getvalue()


class ShownBox:
    """Two cameras: `gate` with PTZ sends, `yard` is lost. Change the attributes, see the page."""

    def __init__(self, name: str = "North gate") -> None:
        self.clock = SystemClock()
        self.name = name
        self.is_frozen = self.is_event_only = False
        self.light = Light.RED
        self.camera_ids = ("gate", "yard")
        self.password_in_error = "mqtt://box:hunter2@center.example:1883 refused"
        self._pictures = [jpeg_of(step) for step in range(12)]
        self._frozen_at_mono_s = self.clock.monotonic_s()
        self._event_began = self.clock.utc_now() - timedelta(minutes=1)

    async def state(self) -> BoxState:
        now = self.clock.utc_now()
        return BoxState(
            box_id="bx-0417",
            site="tb-001",
            version="0.1.0",
            utc_now=now,
            tq=TimeQuality.NTP,
            light=self.light,
            faults=() if self.light is Light.GREEN else (_fault(),),
            cameras=tuple(
                camera
                for camera in (self._gate(), _yard(now))
                if camera.camera_id in self.camera_ids
            ),
            link=LinkView(
                is_connected=True,
                endpoint="mqtt://center.example:1883",
                since=now - timedelta(minutes=42),
                last_error=self.password_in_error,
            ),
            outbox=OutboxView(queued={"a": 0, "e": 3}, oldest_age_s=1.4, acked=1817, evicted=0),
            latency=LatencyView(p50_ms=212.0, p95_ms=388.0),
            processes=(
                ProcessView(
                    name="core", state="running", pid=410, restarts=0, pss_mib=41.0, cpu_pct=3.0
                ),
                ProcessView(name="camera-gate", state="running", pid=411, restarts=1),
            ),
            disk=DiskView(
                free_bytes=38_000_000_000, total_bytes=64_000_000_000, recorded_bytes=21_500_000_000
            ),
            board=BoardView(name="Simulated board", is_simulated=True, temperature_c=51.0),
        )

    def freeze(self) -> None:
        """From now on the picture gets no younger."""
        self.is_frozen, self._frozen_at_mono_s = True, self.clock.monotonic_s()

    async def live(self, camera_id: str) -> LivePicture | None:
        if camera_id != "gate":
            return None
        taken_mono_s = self._frozen_at_mono_s if self.is_frozen else self.clock.monotonic_s() - 0.12
        step = int(taken_mono_s * 5)
        left = (10 + step % 12 * 7 % (WIDTH_PX - 60)) / WIDTH_PX
        return LivePicture(
            jpeg=self._pictures[step % 12],
            taken_mono_s=taken_mono_s,
            width_px=WIDTH_PX,
            height_px=HEIGHT_PX,
            objects=(
                LiveObject(
                    label="person",
                    score=0.87,
                    track_id=7,
                    region=Region(x=left, y=90 / HEIGHT_PX, width=40 / WIDTH_PX, height=1 / 3),
                ),
            ),
            zones=(
                LiveZone(
                    rule_id="fence", polygon=((0.3, 0.4), (0.95, 0.4), (0.95, 0.95), (0.3, 0.95))
                ),
            ),
        )

    async def timeline(self, camera_id: str, last_s: float) -> Timeline | None:
        if camera_id not in ("gate", "yard"):
            return None
        now = self.clock.utc_now()
        began = now - timedelta(seconds=last_s)
        middle = began + timedelta(seconds=last_s * 0.6)
        back = middle + timedelta(seconds=last_s * 0.05)
        step = timedelta(seconds=10)
        before = int((middle - began) / step)
        return Timeline(
            began=began,
            until=now,
            segments=(
                *((began + step * n, began + step * (n + 1)) for n in range(before)),
                (back, now),
            ),
            sub_segments=((began - step, began),),
            held_segments=((back, now),) if self.is_event_only else (),
            gaps=(TimelineGap(began=middle, until=back, cause="timeout"),),
            events=(
                TimelineEvent(
                    began=back + (now - back) / 2, until=None, kind="intrusion", event_id=EVENT_ID
                ),
            ),
        )

    async def events(self, limit: int) -> tuple[EventView, ...]:
        return (
            EventView(
                event_id=EVENT_ID,
                kind="intrusion",
                phase="update",
                began=self._event_began,
                camera_id="gate",
                rule_id="fence",
                labels=("person",),
                has_picture=True,
                is_acked=True,
            ),
        )[:limit]

    async def picture(self, event_id: str) -> bytes | None:
        return self._pictures[3] if event_id == EVENT_ID else None

    async def event_camera(self, event_id: str) -> str | None:
        return "gate" if event_id == EVENT_ID else None

    def _gate(self) -> CameraView:
        return CameraView(
            camera_id="gate",
            name=self.name,
            state=CameraState.ONLINE,
            since=self.clock.utc_now() - timedelta(minutes=42),
            is_recording=True,
            is_event_only=self.is_event_only,
            recorded_s=2520.0,
            sub_fps=10.0,
            gaps=1,
            detector="ready",
            trials=(TrialView(rule_id="door", raised=3, lasted_days=1.5, days=7.0),),
            has_ptz=True,
            is_simulated=True,
        )


def _yard(now) -> CameraView:
    return CameraView(
        camera_id="yard",
        name="주차장",
        state=CameraState.LOST,
        since=now - timedelta(seconds=95),
        is_recording=False,
        is_simulated=True,
    )


def _fault() -> Fault:
    return Fault(
        code="camera.unreachable",
        camera_id="yard",
        sentence_en="Camera “주차장” does not answer.",
        sentence_ko="주차장 카메라가 응답하지 않습니다.",
        hint_en="Check its power and network cable at the box.",
        hint_ko="함체에서 카메라 전원과 랜선을 확인하세요.",
    )
