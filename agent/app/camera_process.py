"""One camera's worker process: its memory (main stream) and its eyes (sub stream).

Threads: main stream (packet copy to disk), sub stream (decode and look), disk sync, line to the
core. The process's first thread beats and watches. A fault here costs this camera only.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec
from msgspec import structs

from agent.app import memory
from agent.app.aim_look import AimLook
from agent.app.audio_permit import may_record_audio
from agent.app.child import SupervisorLink, guarded_thread
from agent.app.core_line import CoreLine
from agent.app.eyes import Eyes
from agent.app.keeping import Keeping, find_folder, open_camera_index, open_stage
from agent.app.main_sink import MainSink
from agent.app.model_choice import model_choice
from agent.app.picture_watch import PictureWatch
from agent.app.playback import recorded
from agent.app.recorders import open_recorders
from agent.app.replacing import BEAT_S, Replacing
from agent.app.run_dir import CORE_SOCKET, DETECT_SOCKET, run_dir
from agent.app.sighting_watch import SightingWatch
from agent.app.still_keeper import StillKeeper
from agent.app.streams import Streams, main_session
from agent.app.sub_sink import SubSink
from agent.app.sub_stream import SubStream
from agent.app.succession import Succession
from agent.app.view_pictures import Stills, ViewPictures
from agent.app.worker_calls import WorkerCalls
from agent.buffer.orders import WORKER_LOCK
from agent.buffer.retention import Retention
from agent.core import log
from agent.core.clock import Clock, SystemClock, to_tick_s
from agent.core.errors import StorageError
from agent.core.lock import FileLock
from agent.detect.client import DetectClient
from agent.detect.manifest import load_manifest
from agent.ingest.session import IngestSession
from agent.messages import worker
from agent.messages.locking import LockSpan, Unlock
from agent.messages.passing import Passing
from agent.messages.push import StartPush, StopPush
from agent.messages.supervision import KeyFrame, SuccessorGone
from agent.messages.vision import HitState, RuleHit
from agent.messages.worker import (
    CameraStatus,
    Hello,
    HitAck,
    HitReport,
    Recognised,
    RecordingStatus,
    RestartStreams,
    Retune,
    TakePicture,
    ToWorker,
    UseStreams,
    WhoIsThere,
    Word,
)
from agent.push.live_tap import LiveTap
from agent.push.pushes import Pushes
from agent.settings.load import data_dir_of
from agent.settings.model import CameraSettings, Settings
from agent.settings.schedule import zone_named

FIGURES_EVERY_S = 4.0
AGAIN_S = 0.5  # after news: what follows from it comes soon


def run(settings: Settings, camera_id: str, link: SupervisorLink) -> int:
    """Body of the process; returns its exit code."""
    camera = settings.camera(camera_id)
    assert camera is not None  # noqa: S101 - the process table was made from these settings
    calls = WorkerCalls()
    calls.catch()
    clock = SystemClock()
    folder, no_disk = find_folder(settings, camera_id)
    memory.raise_wall(camera.max_rss_bytes)
    lock, succession = FileLock(folder / WORKER_LOCK, clock), None
    audio = may_record_audio(settings, camera, clock)
    streams = Streams(camera, folder, clock, audio=audio, data_dir=data_dir_of(settings))
    if link.is_successor:
        succession = Succession(camera, streams, link, clock, calls.stop)
        if not succession.wait(lock):
            return 0
    else:
        lock.acquire()  # two workers would tear the index
    with lock:
        return CameraWorker(
            settings, camera, folder, streams, link, clock, calls, no_disk, succession
        ).run()


class CameraWorker:
    """Wires one camera's stages and watches its threads."""

    def __init__(
        self,
        settings: Settings,
        camera: CameraSettings,
        folder: Path,
        streams: Streams,
        link: SupervisorLink,
        clock: Clock,
        calls: WorkerCalls,
        no_disk: StorageError | None = None,
        succession: Succession | None = None,
    ) -> None:
        self._camera, self._folder, self._link, self._clock = camera, folder, link, clock
        self._calls, self._log = calls, log.get("camera")
        self._stop = stop = calls.stop
        self._index = open_camera_index(settings, folder, clock)
        stage = open_stage(settings, camera.camera_id, folder, self._index, clock)
        self._succession = succession
        retention = Retention(
            folder, self._index, settings.buffer, clock, cameras=len(settings.cameras)
        )
        self._recorders = open_recorders(
            settings,
            camera,
            folder,
            self._index,
            retention,
            stage,
            clock,
            has_disk=no_disk is None,
            is_successor=succession is not None,
        )
        self._keeping = Keeping(
            settings,
            camera.camera_id,
            folder,
            self._index,
            retention,
            self._recorders,
            clock,
            no_disk,
            stage,
        )
        self._streams = streams
        self._picture_watch = PictureWatch(
            camera,
            folder,
            lambda finding: self._line.put(finding),  # noqa: PLW0108 - made below
            clock,
            fixed=self._streams.fixed,
        )
        manifest = load_manifest(model_choice(settings).folder())
        self._eyes = Eyes(
            camera,
            DetectClient(run_dir(settings) / DETECT_SOCKET, clock, camera_id=camera.camera_id),
            manifest,
            self._on_hit,
            clock,
            [
                StillKeeper(folder, settings, retention.now, self._index, clock).offer,
                self._picture_watch.look,
                lambda *seen: self._sightings.look(*seen),  # noqa: PLW0108 - made below
            ],
            doubts=lambda: self._picture_watch.doubts,
            folder=folder,
            time_zone=zone_named(settings.time_zone),
        )
        self._sightings = SightingWatch(
            camera,
            folder,
            settings.sightings,
            clock,
            lambda: self._eyes.view.objects,
            lambda: self._eyes.model,
            self._on_passing,
            retention.now,
            self._recorders.main.time,
        )
        taps = {"main": LiveTap(), "sub": LiveTap()}
        self._pictures = ViewPictures(AimLook(taps["main"]))
        self._main_sink = MainSink(
            self._recorders.main if camera.record and no_disk is None else None,
            os.getppid(),
            taps["main"],
        )
        self._main = (
            succession.session
            if succession
            else main_session(camera, self._streams, self._main_sink, clock, stop)
        )
        self._main.on_change = calls.wake
        self._replacing = Replacing(
            camera.max_rss_bytes,
            link,
            self._main_sink,
            calls.replace,
            clock,
            lambda: bool(self._eyes.view.objects),
        )
        of_sub = self._recorders.sub
        sub_sink = SubSink(
            self._eyes if camera.look else None,
            taps["sub"],
            MainSink(of_sub, os.getppid()) if of_sub else None,
            lambda: self._streams.has_sub,
        )
        self._sub = SubStream(
            lambda end: IngestSession(
                "sub",
                self._streams.sub,
                sub_sink,
                clock,
                end,
                stall_s=camera.stall_s,
                gather_s=lambda: min(self._eyes.gather_s(), sub_sink.may_gather_s()),
                before_gathering=sub_sink.flush,
                on_change=calls.wake,
            ),
            stop,
            is_permanent=camera.look or of_sub is not None,
        )
        self._line_stop = threading.Event()
        self._line = CoreLine(
            run_dir(settings) / CORE_SOCKET,
            Hello(camera_id=camera.camera_id, pid=os.getpid()),
            self._index.waiting_hits,
            self._on_message,
            clock,
        )
        self._pushes = Pushes(
            taps,
            self._line.put,
            lambda: self._line.is_connected,
            clock,
            Stills(
                lambda: self._eyes.view, (taps["sub"], taps["main"]), lambda: self._camera, clock
            ).jpeg,
            partial(recorded, folder),
        )
        for door in self._streams.doors:
            door.ask = self._ask_who_is_there
        self._hits_total, self._tell_again_s, self._had_news = 0, 0.0, False
        self._told: object = None

    def run(self) -> int:
        """Run until stopped or a thread dies."""
        if self._succession:
            held, seam = self._succession.held, self._recorders.seam
            held.pass_on(self._main_sink, seam, self._clock.monotonic_s())
        streams = [
            self._succession.thread if self._succession else guarded_thread("main", self._main.run),
            *self._sub.begin(),
            *(guarded_thread(*sync) for sync in self._recorders.syncs(self._stop)),
            guarded_thread("upkeep", lambda: self._keeping.run(self._stop)),
        ]
        line = guarded_thread("line", lambda: self._line.run(self._line_stop))
        code = 0
        while not self._stop.is_set():
            # Once it is to stop, its threads may well have ended.
            is_whole = all(one.is_alive() for one in [*streams, line]) or self._stop.is_set()
            if self._supervisor_is_gone() or not is_whole or self._keeping.must_restart():
                code = 1
                self._stop.set()
            elif self._replacing.must_end():
                code = memory.RECYCLED
                self._stop.set()
            self._sub.follow(wanted=self._pushes.want_sub)
            self._link.beat(self._ages_s())
            self._tell_core()
            every_s = min(self._replacing.beat_s, AGAIN_S if self._had_news else BEAT_S)
            self._calls.wait(to_tick_s(self._clock, every_s))
        for thread in streams:
            thread.join()
        for part in (self._pushes, self._sub, self._keeping, self._picture_watch, self._sightings):
            part.close()
        self._line.put(self._status())
        self._line_stop.set()
        self._line.wake()
        line.join(timeout=3.0)
        self._index.close()
        return code

    def _tell_core(self) -> None:
        """Say how the camera does: what changed at once, figures every few seconds."""
        status, now_s = self._status(), self._clock.monotonic_s()
        state = status.state()
        if (is_news := state != self._told) or now_s >= self._tell_again_s:
            if self._had_news and not is_news:
                memory.give_back()  # what a stream's opening took
            self._told, self._had_news = state, is_news
            self._tell_again_s = now_s + to_tick_s(self._clock, FIGURES_EVERY_S)
            self._line.put(status)

    def _supervisor_is_gone(self) -> bool:
        try:
            while (message := self._link.receive()) is not None:
                if isinstance(message, KeyFrame):
                    self._main_sink.successor_holds(message)
                elif isinstance(message, SuccessorGone):
                    self._replacing.is_successor_gone = True
        except EOFError:
            return True
        return False

    def _ages_s(self) -> dict[str, float]:
        now_s = self._clock.monotonic_s()
        ages_s = {"main": now_s - self._main.last_progress_mono_s} | self._sub.ages_s(now_s)
        return self._keeping.disk.borne(ages_s)

    def _status(self) -> CameraStatus:
        return CameraStatus(
            camera_id=self._camera.camera_id,
            main=self._main.status,
            sub=self._sub.status,
            recording=self._recording(),
            sub_recording=self._keeping.sub_status,
            detection=self._eyes.status,
            hits_total=self._hits_total,
            picture=self._picture_watch.troubles,
        )

    def _recording(self) -> RecordingStatus:
        """What the disk holds, and why there is no sound where there should be."""
        status = self._keeping.status
        if not self._camera.record_audio:
            return status
        fault = self._main.sound_fault if self._streams.audio else "camera.sound_not_allowed"
        return structs.replace(status, faults=(*status.faults, fault)) if fault else status

    def _on_passing(self, passing: Passing) -> None:
        """Tell who passes; while the core is away hits need the room."""
        if self._line.is_connected:
            self._line.put(passing)

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
                self._keeping.events.told(message)
            case TakePicture():
                self._line.put(self._pictures.reply(self._eyes.view, message, self._camera))
            case LockSpan() | Unlock():
                self._line.put(self._keeping.order(message))
            case Retune():
                camera = msgspec.json.decode(message.camera_json, type=CameraSettings)
                self._camera = camera
                self._eyes.retune(camera)
                self._keeping.events.use(camera, is_shed=message.is_shed)
            case StartPush():
                self._start_push(message)
            case StopPush():
                self._pushes.stop(message.push_id)
            case RestartStreams():
                self._restart_streams()
            case Recognised() | UseStreams():
                self._on_streams(message)

    def _start_push(self, order: StartPush) -> None:
        """Begin it; the second stream of a camera that is only recorded is opened for it."""
        if order.since is None and not (self._sub.is_permanent or self._streams.has_sub):
            order = structs.replace(order, stream="main")  # the one it has comes already
        self._pushes.start(order)
        self._sub.follow(wanted=self._pushes.want_sub)

    def _on_streams(self, message: Recognised | UseStreams) -> None:
        """Hear where the streams are, and who is there."""
        if isinstance(message, Recognised):
            for door in self._streams.doors:
                door.told(message)
            is_news = message.word is Word.ACCEPTED
        else:
            self._picture_watch.fixed = not message.has_ptz
            is_news = self._streams.use(message)
        if is_news:
            self._restart_streams()

    def _ask_who_is_there(self, host: str) -> None:
        if self._line.is_connected:
            self._line.put(WhoIsThere(camera_id=self._camera.camera_id, host=host))

    def _restart_streams(self) -> None:
        self._main.restart()
        self._sub.restart()
