"""A center to look at: three incidents have arrived, orders are noted and answered at once."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import av
import numpy as np
from msgspec import structs

from agent.contract.commands import Actor, Args, Clip, Ping, Reply, ReplyState
from agent.contract.config import ConfigProblem, ConfigReport, ConfigStatus
from agent.contract.events import (
    Event,
    EventData,
    EventKind,
    Phase,
    Picture,
    SeenObject,
    StreamName,
    TimeQuality,
)
from agent.contract.info import CameraInfo, Info
from agent.contract.ptz import PtzStep
from agent.contract.ptz_args import PtzMove, PtzStop
from agent.contract.telemetry import BoardSample, FaultSample, OutboxSample, Telemetry
from agent.contract.topics import BoxAddress
from agent.core.clock import SystemClock
from agent.core.ids import new_ulid
from agent.simulators.center.view import BoxView, Doubt, Session, StoredEvent, StreamCount, Upload
from tests.browser.shown_box import HEIGHT_PX, WIDTH_PX, jpeg_of

ADDRESS = BoxAddress("tb-001", "bx-0417")


def write_clip(path: Path) -> Path:
    """Write one second of H.264 that a browser can play."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for step in range(10):
            grey = np.full((120, 160, 3), 20 * step, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode(None))
    return path


class ShownCenter:
    """`orders` are the arguments that were ordered, in order."""

    def __init__(self, folder: Path, camera_name: str = "North gate") -> None:
        self.clock = SystemClock()
        self.orders: list[Args] = []
        self.steps: list[PtzStep] = []
        self.has_twin = False
        self.online = True
        self.link_fault = ""
        self.board = BoardSample(temperature_c=47.0, undervoltage=False, heat_band="normal")
        self.engine = "tflite-cpu"
        self.faults: tuple[FaultSample, ...] = ()
        self.faults_untold = 0
        self.read_back = ""
        self.holes: list[dict[str, str]] = []  # of the clips that it is sent
        self._clip = write_clip(folder / "clip.mp4")
        self._uploads: dict[str, Upload] = {}
        self._camera_name = camera_name
        self._stored: list[StoredEvent] = []
        self._fill()

    async def events(self, limit: int = 50, after: int = 0) -> list[StoredEvent]:
        return [stored for stored in reversed(self._stored) if stored.number > after][:limit]

    async def doubts(self, limit: int = 20) -> list[Doubt]:
        return []

    async def boxes(self) -> list[BoxView]:
        now = self.clock.utc_now()
        cameras = (CameraInfo(camera_id="gate", name=self._camera_name, can=("ptz",)),)
        return [
            BoxView(
                address=ADDRESS,
                online=self.online,
                since=now - timedelta(minutes=42),
                state=None,
                info=Info(
                    box="bx-0417",
                    site="tb-001",
                    model="Simulated board",
                    version="0.1.0",
                    simulated=True,
                    boot=3,
                    epoch="7c1e0001",
                    cameras=cameras,
                ),
                telemetry=Telemetry(
                    t=now,
                    mono=1.0,
                    tq=TimeQuality.NTP,
                    outbox=OutboxSample(
                        waiting=3,
                        waiting_bytes=2048,
                        queued_total=9,
                        acked_total=6,
                        evicted_total=0,
                    ),
                    board=self.board,
                    detector_engine=self.engine,
                    faults=self.faults,
                    faults_untold=self.faults_untold,
                    read_back=self.read_back,
                ),
                telemetry_at=now - timedelta(seconds=4),
                streams=(StreamCount("e", "7c1e0001", 1817, 1817, 12, 0),),
                config=ConfigReport(
                    version=7,
                    hash="0" * 64,
                    status=ConfigStatus.PARTLY,
                    errors=(ConfigProblem(path="$.buffer.colour", code="settings.invalid"),),
                ),
                has_twin=self.has_twin,
            )
        ]

    def link(self) -> str:
        return self.link_fault

    async def changed(self, known: int) -> int:
        return known + 1

    async def command(
        self, address: BoxAddress, args: Args, by: Actor, *, valid_s: float = 30.0
    ) -> AsyncIterator[Reply]:
        self.orders.append(args)
        command_id = new_ulid(self.clock.utc_now())
        if isinstance(args, Clip):
            self._uploads[command_id] = Upload(
                name=self._clip.name,
                command_id=command_id,
                content_type="video/mp4",
                size_bytes=self._clip.stat().st_size,
                sha256="0" * 64,
                received_at=self.clock.utc_now(),
                path=self._clip,
            )
        if isinstance(args, Ping | Clip | PtzMove | PtzStop):
            yield Reply(id=command_id, state=ReplyState.ACCEPTED)
            is_short = isinstance(args, Clip) and self.holes
            told = {"holes": self.holes, "holes_untold": 7} if is_short else None
            yield Reply(id=command_id, state=ReplyState.DONE, result=told)
        else:
            yield Reply(
                id=command_id,
                state=ReplyState.FAILED,
                code="camera.unreachable",
                message="The camera does not answer.",
                hint="Check its power.",
            )

    async def steer(
        self, address: BoxAddress, camera_id: str, by: Actor, step: PtzStep
    ) -> Reply | None:
        self.steps.append(step)
        if len(self.steps) > 1:
            return None
        result = {"lease": "1", "key": "k", "ttl_s": 20.0, "preempted": None}
        return Reply(id="1", state=ReplyState.PROGRESS, message="granted", result=result)

    async def sessions(self, address: BoxAddress, limit: int = 50) -> list[Session]:
        now = self.clock.utc_now()
        ended = now - timedelta(minutes=44)
        return [
            Session(3, 2, now - timedelta(minutes=42), None),
            Session(3, 1, now - timedelta(hours=9), ended),
        ]

    async def uploads(self, limit: int = 50) -> list[Upload]:
        return list(self._uploads.values())[:limit]

    async def upload_of(self, command_id: str) -> Upload | None:
        return self._uploads.get(command_id)

    def _fill(self) -> None:
        now = self.clock.utc_now()
        self._store(EventKind.INTRUSION, Phase.NEW, now - timedelta(minutes=7), 1)
        self._store(EventKind.CAMERA_LOST, Phase.NEW, now - timedelta(minutes=3), None)
        first = self._store(EventKind.INTRUSION, Phase.NEW, now - timedelta(seconds=12), 5)
        later = replace_phase(first.event, Phase.UPDATE)
        self._stored.append(replace(first, number=len(self._stored) + 1, event=later))

    def tell(self, kind: EventKind, code: str, subject: str, *, is_over: bool = False) -> None:
        """Have the box tell of a fault, or that it is over, by an event of this moment."""
        at = self.clock.utc_now() + timedelta(minutes=1)  # after any sample that was shown
        told = self._store(kind, Phase.NEW, at, None)
        data = structs.replace(told.event.data, code=code, ended_at=at if is_over else None)
        phase = Phase.END if is_over else Phase.NEW
        event = structs.replace(told.event, subject=subject, phase=phase, data=data)
        self._stored[-1] = replace(told, event=event)

    def _store(self, kind: EventKind, phase: Phase, at, step: int | None) -> StoredEvent:
        picture = step and Picture(
            taken_at=at, width_px=WIDTH_PX, height_px=HEIGHT_PX, jpeg=jpeg_of(step)
        )
        event = Event(
            id=new_ulid(at),
            source="edge/tb-001/bx-0417",
            type=f"edge.event.{kind.value}.v1",
            subject="gate" if kind is EventKind.INTRUSION else "yard",
            time=at,
            seq=len(self._stored) + 1,
            stream=StreamName.EVENT,
            epoch="7c1e0001",
            boot=3,
            mono=100.0,
            tq=TimeQuality.NTP,
            phase=phase,
            data=EventData(
                kind=kind,
                started_at=at,
                picture=picture or None,
                objects=(SeenObject(label="person", score=0.9),) if picture else (),
            ),
        )
        number = len(self._stored) + 1
        delay_s = 0.214 + number / 50
        stored = StoredEvent(number, ADDRESS, event, at + timedelta(seconds=delay_s), delay_s, 0)
        self._stored.append(stored)
        return stored


def replace_phase(event: Event, phase: Phase) -> Event:
    """Return the next message of the same incident."""
    return structs.replace(event, phase=phase, seq=event.seq + 1)
