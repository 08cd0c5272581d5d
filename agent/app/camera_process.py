"""One camera's worker process: its memory (main stream) and its eyes (sub stream).

Threads: main stream (packet copy to disk), sub stream (decode and look), disk sync, line to the
core. The process's first thread beats and watches. A fault here costs this camera only.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from av.packet import Packet
from av.video.stream import VideoStream

from agent.app import memory
from agent.app.child import SupervisorLink, name_thread, orphaned
from agent.app.core_line import CoreLine
from agent.app.eyes import Eyes
from agent.app.keeping import Keeping, find_folder
from agent.app.picture_watch import PictureWatch
from agent.app.run_dir import CORE_SOCKET, DETECT_SOCKET, run_dir
from agent.app.still_keeper import StillKeeper
from agent.buffer import ledger
from agent.buffer.observer import RecordingObserver
from agent.buffer.orders import WORKER_LOCK
from agent.buffer.rebuild import open_index
from agent.buffer.recorder import Recorder
from agent.buffer.recovery import KILLED, recover
from agent.buffer.retention import Retention
from agent.core import log
from agent.core.clock import Clock, SystemClock, boot_id, wait_s
from agent.core.errors import StorageError
from agent.core.lock import FileLock
from agent.detect.client import DetectClient
from agent.detect.manifest import load_manifest
from agent.evidence import schema as evidence
from agent.evidence.gop_chain import GopChain, open_chain
from agent.ingest.jpeg import encode_jpeg
from agent.ingest.session import IngestSession, StreamAddress
from agent.ingest.source import StreamFacts, TlsTrust
from agent.messages import worker
from agent.messages.locking import LockSpan, Unlock
from agent.messages.vision import HitState, RuleHit
from agent.messages.worker import (
    CameraStatus,
    Hello,
    HitAck,
    HitReport,
    PictureReply,
    Retune,
    TakePicture,
    ToWorker,
    UseStreams,
)
from agent.settings.load import data_dir_of
from agent.settings.model import CameraSettings, Settings

BEAT_S = 1.0
GATHER_S = 0.2  # of the main stream, nothing is looked at; with a fragment, half a second
RECYCLED = "recycled"  # the gap's cause when a worker has grown too large
STREAMS_FILE = "streams.json"


def run(settings: Settings, camera_id: str, link: SupervisorLink) -> int:
    """Body of the process; returns its exit code."""
    camera = settings.camera(camera_id)
    assert camera is not None  # noqa: S101 - the process table was made from these settings
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the supervisor decides
    clock = SystemClock()
    folder, no_disk = find_folder(settings, camera_id)
    memory.raise_wall(camera.max_rss_bytes)
    with FileLock(folder / WORKER_LOCK, clock):  # two workers would tear the index
        return CameraWorker(settings, camera, folder, link, clock, stop, no_disk).run()


class CameraWorker:
    """Wires one camera's stages and watches its threads."""

    def __init__(
        self,
        settings: Settings,
        camera: CameraSettings,
        folder: Path,
        link: SupervisorLink,
        clock: Clock,
        stop: threading.Event,
        no_disk: StorageError | None = None,
    ) -> None:
        self._camera, self._folder, self._link, self._clock = camera, folder, link, clock
        self._stop, self._log = stop, log.get("camera")
        self._index = open_index(folder, [ledger.PART, evidence.PART], clock)
        chain = () if no_disk else _evidence(settings, camera.camera_id, folder, clock)
        observers: tuple[RecordingObserver, ...] = (ledger.Ledger(), *chain)
        this_boot = boot_id()
        if cause := recover(folder, self._index, this_boot, observers):
            self._log.warning("the last run did not end cleanly", cause=cause)
        retention = Retention(
            folder, self._index, settings.buffer, clock, cameras=len(settings.cameras)
        )
        self._recorder = Recorder(
            folder, self._index, retention, settings.buffer, clock, this_boot, observers
        )
        self._keeping = Keeping(
            settings,
            camera.camera_id,
            folder,
            self._index,
            retention,
            self._recorder,
            clock,
            no_disk,
            observers,
        )
        known_streams = _read_streams(folder)
        self._picture_watch = PictureWatch(
            camera,
            folder,
            lambda finding: self._line.put(finding),  # noqa: PLW0108 - made below
            clock,
            fixed=known_streams is None or not known_streams.has_ptz,
        )
        self._eyes = Eyes(
            camera,
            DetectClient(run_dir(settings) / DETECT_SOCKET, clock, camera_id=camera.camera_id),
            load_manifest(_model_folder(settings)),
            self._on_hit,
            clock,
            [StillKeeper(folder, settings.timelapse, clock).offer, self._picture_watch.look],
        )
        self._streams = _Streams(camera, known_streams)
        self._main_sink = _MainSink(
            self._recorder if camera.record and no_disk is None else None, os.getppid()
        )
        self._main = IngestSession(
            "main",
            self._streams.main,
            self._main_sink,
            clock,
            stop,
            stall_s=camera.stall_s,
            gather_s=GATHER_S,
        )
        self._sub = IngestSession(
            "sub", self._streams.sub, self._eyes, clock, stop, stall_s=camera.stall_s
        )
        self._line_stop = threading.Event()
        self._line = CoreLine(
            run_dir(settings) / CORE_SOCKET,
            Hello(camera_id=camera.camera_id, pid=os.getpid()),
            self._index.waiting_hits,
            self._on_message,
            clock,
        )
        self._hits_total = 0

    def run(self) -> int:
        """Run until stopped or a thread dies."""
        streams = [
            self._thread("main", self._main.run),
            *([self._thread("sub", self._sub.run)] if self._camera.look else []),
            self._thread("sync", lambda: self._recorder.keep_synced(self._stop)),
            self._thread("upkeep", lambda: self._keeping.run(self._stop)),
        ]
        line = self._thread("line", lambda: self._line.run(self._line_stop))
        code = 0
        while not wait_s(self._stop, BEAT_S):
            is_whole = all(thread.is_alive() for thread in [*streams, line])
            if self._supervisor_is_gone() or not is_whole or self._keeping.must_restart():
                code = 1
                self._stop.set()
            elif self._has_grown():
                code = memory.RECYCLED
                self._stop.set()
            self._link.beat(self._ages_s())
            self._line.put(self._status())
        for thread in streams:
            thread.join()
        self._picture_watch.close()
        self._line.put(self._status())
        self._line_stop.set()
        self._line.wake()
        line.join(timeout=3.0)
        self._index.close()
        return code

    def _thread(self, name: str, body: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            name_thread(name)
            try:
                body()
            except Exception as error:  # noqa: BLE001 - the edge of a thread: say why, then end
                self._log.error("thread failed", thread=name, exc_info=error)

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        thread.start()
        return thread

    def _supervisor_is_gone(self) -> bool:
        try:
            while self._link.receive() is not None:
                pass
        except EOFError:
            return True
        return False

    def _has_grown(self) -> bool:
        size_bytes = memory.rss_bytes()
        if size_bytes <= self._camera.max_rss_bytes:
            return False
        self._log.warning("worker has grown, starts anew", rss_bytes=size_bytes)
        self._main_sink.stop_cause = RECYCLED
        return True

    def _ages_s(self) -> dict[str, float]:
        now_s = self._clock.monotonic_s()
        ages_s = {"main": now_s - self._main.last_progress_mono_s}
        if self._camera.look:
            ages_s["sub"] = now_s - self._sub.last_progress_mono_s
        return ages_s

    def _status(self) -> CameraStatus:
        return CameraStatus(
            camera_id=self._camera.camera_id,
            main=self._main.status,
            sub=self._sub.status if self._camera.look else None,
            recording=self._keeping.status,
            detection=self._eyes.status,
            hits_total=self._hits_total,
            picture=self._picture_watch.troubles,
        )

    def _on_hit(self, hit: RuleHit) -> None:
        """Keep what begins an incident before telling it; the rest is told only."""
        payload = worker.encode(HitReport(hit=hit))
        if hit.state is HitState.BEGAN:
            self._hits_total += 1
            with suppress(StorageError):  # a full disk must not stop the telling
                self._index.keep_hit(hit.hit_id, hit.at, hit.mono_s, hit.state, payload)
        self._line.put_encoded(payload)
        self._keeping.hit(hit)

    def _on_message(self, message: ToWorker) -> None:
        match message:
            case HitAck():
                with suppress(StorageError):  # it will be sent and acknowledged again
                    self._index.ack_hit(message.hit_id)
            case TakePicture():
                self._line.put(self._picture(message))
            case LockSpan() | Unlock():
                self._line.put(self._keeping.order(message))
            case Retune():
                camera = msgspec.json.decode(message.camera_json, type=CameraSettings)
                self._camera = camera
                self._eyes.retune(camera)
            case UseStreams():
                self._picture_watch.fixed = not message.has_ptz
                if self._streams.use(message):
                    _write_streams(self._folder, message)
                    self._main.restart()
                    self._sub.restart()

    def _picture(self, order: TakePicture) -> PictureReply:
        view = self._eyes.view
        if view.frame is None:
            return PictureReply(request_id=order.request_id)
        jpeg, width_px, height_px = encode_jpeg(view.frame, order.max_width_px, order.max_bytes)
        return PictureReply(
            request_id=order.request_id,
            jpeg=jpeg,
            width_px=width_px,
            height_px=height_px,
            taken_at=view.at,
            taken_mono_s=view.mono_s,
            objects=view.objects,
        )


def _evidence(
    settings: Settings, camera_id: str, folder: Path, clock: Clock
) -> tuple[GopChain, ...]:
    """Return the camera's chain; without a key the box still records."""
    try:
        return (open_chain(data_dir_of(settings), folder, settings.box, camera_id, clock),)
    except StorageError as error:
        log.get("camera").error("no evidence", code=error.code, detail=error.message)
        return ()


class _MainSink:
    """Joins the main stream's session and the recorder, which know nothing of each other."""

    def __init__(self, recorder: Recorder | None, parent_pid: int) -> None:
        self._recorder, self._parent_pid = recorder, parent_pid
        self.stop_cause = "stopped"

    def run_started(self, stream: VideoStream, facts: StreamFacts) -> None:
        if self._recorder is not None:
            self._recorder.run_started(stream, facts.codec, (facts.width_px, facts.height_px))

    def packet(self, packet: Packet[VideoStream], arrived_mono_s: float) -> None:
        if self._recorder is not None:
            self._recorder.packet(packet, arrived_mono_s)

    def run_ended(self, cause: str) -> None:
        if self._recorder is None:
            return
        if cause == "stopped":
            # an orphan was not asked to stop: the supervisor died, and we with it
            cause = KILLED if orphaned(self._parent_pid) else self.stop_cause
        self._recorder.run_ended(cause)


class _Streams:
    """Where the streams are: from the settings, else as ONVIF told, now or at an earlier start."""

    def __init__(self, camera: CameraSettings, known: UseStreams | None) -> None:
        self._camera, self._known = camera, known

    def use(self, told: UseStreams) -> bool:
        """Take ONVIF's addresses; return whether they are news."""
        is_news = self._known != told
        self._known = told
        return is_news

    def main(self) -> StreamAddress | None:
        return self._address(self._camera.main_url or (self._known.main_url if self._known else ""))

    def sub(self) -> StreamAddress | None:
        """Return the sub stream; a camera that has only one is looked at through that."""
        if self._camera.sub_url:
            return self._address(self._camera.sub_url)
        if self._known and self._known.sub_url:
            return self._address(self._known.sub_url)
        return self.main()

    def _address(self, url: str) -> StreamAddress | None:
        if not url:
            return None
        camera = self._camera
        trust = TlsTrust(camera.tls_ca_file, camera.tls_host, camera.tls_verify)
        return StreamAddress(url, camera.username, camera.password, trust)


def _model_folder(settings: Settings) -> Path | None:
    return Path(settings.detector.model) if settings.detector.model else None


def _read_streams(folder: Path) -> UseStreams | None:
    try:
        return msgspec.json.decode((folder / STREAMS_FILE).read_bytes(), type=UseStreams)
    except (OSError, msgspec.MsgspecError):
        return None


def _write_streams(folder: Path, told: UseStreams) -> None:
    scratch = folder / f"{STREAMS_FILE}.tmp"
    with suppress(OSError):
        scratch.write_bytes(msgspec.json.encode(told))
        scratch.replace(folder / STREAMS_FILE)
