"""How a frame becomes a rule hit: sub stream -> motion -> detector -> tracker -> rules.

The sink of one camera's sub stream; called by that stream's thread in the camera worker. It sheds
rather than lags: one question to the detector at a time, no more of them than `LookRhythm` and the
detector's sharing allow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Protocol

import av
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from agent.app.hit_pictures import HitPictures
from agent.app.look_rhythm import LookRhythm
from agent.app.picture_mask import PictureMask
from agent.core import log
from agent.core.clock import Clock, utc_at
from agent.core.ids import new_ulid
from agent.detect.close_look import CloseLook
from agent.detect.letterbox import FrameScaler, Letterboxed
from agent.detect.manifest import Manifest
from agent.detect.motion import Luma, MotionGate, luma_of
from agent.detect.sharing import Wish
from agent.detect.tracker import Tracker
from agent.detect.wire import DetectReply
from agent.ingest.known_sets import without_known_sets
from agent.ingest.source import StreamFacts
from agent.messages.picture import PictureKind
from agent.messages.vision import Detection, RuleChange, RuleHit, TrackedObject
from agent.messages.worker import DetectionStatus
from agent.rules.rule import Place, Rule, WatchedRule, build
from agent.rules.scene import SCENE_WIDTH_PX, Scene
from agent.rules.survey import Survey
from agent.settings.model import CameraSettings

# Frames that nobody waits for may gather so long, and are looked at together: till something moves,
# or for good where no detector looks. So many at most: first all are decoded, then all looked at,
# for each of both puts the other's code and tables out of the processor's caches.
GATHER_S, BLIND_GATHER_S = 0.5, 1.0
_MOST_HELD = 6
MAX_BAD_FRAMES = 50  # in a row; the stream is then opened afresh

HitSink = Callable[[RuleHit], None]
FrameWatcher = Callable[[av.VideoFrame, datetime, float], None]


class Asked(Protocol):
    """Who finds objects in a picture: the detect process's client, or a detector in the exam."""

    state: str

    @property
    def manifest(self) -> Manifest | None:
        """The model's that answers; None while that is not known."""
        ...

    def detect(
        self, picture: Letterboxed, frame_id: int, wish: Wish | None = None
    ) -> DetectReply | None:
        """Return what is in the picture, None when there is no answer in time."""
        ...


@dataclass(frozen=True, slots=True)
class View:
    """The newest frame and what was known of it. `frame` is None before the first."""

    frame: av.VideoFrame | None = None
    at: datetime | None = None
    mono_s: float = 0.0
    objects: tuple[TrackedObject, ...] = ()
    found: tuple[Detection, ...] = ()


@dataclass(slots=True)
class _Seen:
    """A decoded frame, masked, with what the motion gate needs of it and when it came.

    Without the frame where a later one of its handful stands for it.
    """

    frame: av.VideoFrame | None
    luma: Luma
    mono_s: float


class _Counters:
    def __init__(self) -> None:
        self.frames = self.motion = self.asked = self.answered = self.objects = 0


class Eyes:
    """Looks at one camera. `view` and `status` may be read from any thread."""

    def __init__(
        self,
        camera: CameraSettings,
        client: Asked,
        manifest: Manifest,
        on_hit: HitSink,
        clock: Clock,
        watchers: Sequence[FrameWatcher] = (),
        doubts: Callable[[], frozenset[PictureKind]] = frozenset,
        folder: Path | None = None,
        time_zone: tzinfo = UTC,
    ) -> None:
        """`manifest` is the model's to begin with: that of who answers counts.

        `watchers` are shown every frame after the rules have had it; they must be quick.

        `doubts` tells what may be wrong with the picture; `folder` and `time_zone` are for rules.
        """
        self._camera, self._client, self._on_hit, self._clock = camera, client, on_hit, clock
        self._watchers = tuple(watchers)
        self._manifest = self._form = manifest
        self._told: Manifest | None = None
        self._scaler, self._shown_px = FrameScaler(*manifest.inputs), (0, 0)
        self._log = log.get("eyes")
        self.view = View()
        self._count = _Counters()
        self._rhythm = LookRhythm()
        self._since = clock.utc_now()
        self._state = "off"
        self._next_camera: CameraSettings | None = None
        self._doubts, self._folder, self._time_zone = doubts, folder, time_zone
        self._rules = self._build(camera)
        self._mask = PictureMask(camera.masks)
        self._pictures = HitPictures()
        self._bad_frames = 0
        self._held: list[_Seen] = []
        self._model: str | None = None
        self._forget()

    def _forget(self) -> None:
        """A new timeline: tracks and background of the old one mean nothing."""
        self._gate = MotionGate()
        self._survey = Survey(self._camera.calibration)
        self._rhythm.forget()
        self._follow_anew()

    def _follow_anew(self) -> None:
        thresholds = self._form.thresholds.with_labels(self._camera.thresholds)
        self._tracker = Tracker(thresholds)
        self._close = CloseLook(self._form.input, thresholds)
        self._found: tuple[Detection, ...] = ()
        self._tracks: tuple[TrackedObject, ...] = ()

    def retune(self, camera: CameraSettings) -> None:
        """Take new rules and rates over at the next frame. May be called from any thread."""
        self._next_camera = camera

    # The sink

    def run_started(self, stream: VideoStream, _facts: StreamFacts) -> None:
        context = stream.codec_context
        if not context.is_open:  # a jump of time begins a new run on the same, open decoder
            context.thread_count = 1
            context.thread_type = "NONE"
            if not self._camera.detect:  # smoothed block edges matter to the detector alone
                context.options = {"skip_loop_filter": "all"}
        self._forget()

    def packet(self, packet: Packet[VideoStream], arrived_mono_s: float) -> None:
        try:
            frames = without_known_sets(packet).decode()
        except FFmpegError:
            self._bad_frames += 1
            if self._bad_frames >= MAX_BAD_FRAMES:
                self._bad_frames = 0
                raise
            return
        for frame in frames:
            self._bad_frames = 0
            if self._held and not self._needs_each:
                self._held[-1].frame = None  # half a megabyte each
            self._held.append(self._seen(frame, arrived_mono_s))
        if len(self._held) >= _MOST_HELD or not self.gather_s():
            self.flush()

    def flush(self) -> None:
        """Nothing more comes for a while: what came is looked at."""
        held, self._held = self._held, []
        for seen in held:
            self._look(seen)

    def run_ended(self, _cause: str) -> None:
        self.flush()
        self._tracks = ()

    @property
    def _needs_each(self) -> bool:
        """Whether somebody may want any of the frames, not the newest only."""
        return self._camera.detect or any(rule.watches for rule in self._rules)

    def gather_s(self) -> float:
        """Return how long frames may wait: not at all while something moves or is known."""
        if not self._camera.detect:
            return BLIND_GATHER_S
        is_awaited = self._rhythm.moves(self.view.mono_s) or self._tracker.remembers_any
        return 0.0 if is_awaited else GATHER_S

    @property
    def status(self) -> DetectionStatus:
        """Return what was looked at, asked and shed so far."""
        state = self._state_now()
        if state != self._state:
            self._state, self._since = state, self._clock.utc_now()
        count = self._count
        return DetectionStatus(
            state=state,
            since=self._since,
            frames_total=count.frames,
            motion_frames_total=count.motion,
            wished_total=self._rhythm.wished_total,
            asked_total=count.asked,
            answered_total=count.answered,
            shed_total=self._rhythm.wished_total - self._rhythm.had_total,
            shed_share=round(self._rhythm.shed_share, 3),
            objects_total=count.objects,
            counters={
                f"{rule.rule_id}.{name}": value
                for rule in self._rules
                for name, value in rule.counters.items()
            },
        )

    def _state_now(self) -> str:
        if not (self._camera.detect and self._camera.look):
            return "off"
        return "ready" if self._client.state == "ready" else "motion-only"

    # One frame

    def look(self, frame: av.VideoFrame, mono_s: float) -> None:
        """Take one decoded frame in, seen at `mono_s`; the exam calls it at media time."""
        self._look(self._seen(frame, mono_s))

    def _seen(self, frame: av.VideoFrame, mono_s: float) -> _Seen:
        self._take_over_settings()
        frame = self._mask.over(frame)
        return _Seen(frame, luma_of(frame), mono_s)

    def _look(self, seen: _Seen) -> None:
        frame, mono_s = seen.frame, seen.mono_s
        self._count.frames += 1
        motion = self._gate.update(seen.luma)
        if motion.active:
            self._count.motion += 1
            self._rhythm.moved(mono_s, motion.share)
        if frame is None:
            return
        if self._camera.detect and self._is_due(mono_s):
            self._ask(frame, mono_s)
        elif not self._tracker.remembers_any and not self._rhythm.moves(mono_s):
            self._judge(frame, mono_s)  # nothing moves and nobody is known: nobody is there
        self._show(frame, mono_s)
        at = utc_at(self._clock, mono_s)
        self.view = View(frame, at, mono_s, self._tracks, self._found)
        for watch in self._watchers:
            watch(frame, at, mono_s)

    def _show(self, frame: av.VideoFrame, mono_s: float) -> None:
        """Let the rules that look at the picture itself have it."""
        watching = [rule for rule in self._rules if rule.watches]
        if watching:
            scene = Scene(luma_of(frame, SCENE_WIDTH_PX), self._doubts())
            for rule in watching:
                self._tell(rule, rule.see(scene, mono_s), frame, mono_s)

    def _is_due(self, mono_s: float) -> bool:
        knows_any = self._tracker.remembers_any
        return self._rhythm.is_due(mono_s, self._camera.detect_fps, knows_any=knows_any)

    def _ask(self, frame: av.VideoFrame, mono_s: float) -> None:
        self._count.asked += 1
        self._fit(frame.width, frame.height)
        picture = self._scaler.to_detector_input(frame)
        wish = self._rhythm.wish(
            mono_s,
            self._camera.detect_fps,
            self._rules,
            knows_any=self._tracker.remembers_any,
            priority=self._camera.priority,
        )
        reply = self._client.detect(picture, self._count.frames, wish)
        if reply is None:  # not known is not the same as nobody there: the rules hear nothing
            return
        self._count.answered += 1
        self._model = reply.model
        self._found = self._closer(frame, reply, mono_s, wish)
        tracks = self._tracker.update(self._found, mono_s, picture)
        self._tracks = self._survey.place(tracks, mono_s, frame.width / frame.height)
        self._rhythm.had(reply.every_s, found=self._tracker.follows_any)
        self._count.objects += len(self._tracks)
        self._judge(frame, mono_s)

    def _fit(self, width_px: int, height_px: int) -> None:
        """Go by the model that answers, and by its form for pictures of this shape."""
        told = self._client.manifest
        if told is not None and told is not self._told:
            self._told = told
            if told != self._manifest:
                self._manifest, self._scaler = told, FrameScaler(*told.inputs)
                self._shown_px = (0, 0)
        if (width_px, height_px) == self._shown_px:
            return
        before, self._form = self._form, self._manifest.form_for(width_px, height_px)
        self._shown_px = (width_px, height_px)
        if (self._form.sha256, self._form.thresholds) != (before.sha256, before.thresholds):
            self._follow_anew()

    @property
    def model(self) -> str:
        """Name and version of the model that looks. May be read from any thread."""
        return self._manifest.model

    def _closer(
        self, frame: av.VideoFrame, whole: DetectReply, mono_s: float, wish: Wish
    ) -> tuple[Detection, ...]:
        """Return what the whole showed, and what a closer look at a part adds to it."""
        if not (self._camera.close_look and whole.has_spare):
            return whole.detections

        def ask(part: Letterboxed) -> tuple[Detection, ...] | None:
            reply = self._client.detect(part, self._count.frames, wish)
            return reply.detections if reply else None

        return self._close.look(frame, whole.detections, mono_s, ask)

    def _judge(self, frame: av.VideoFrame, mono_s: float) -> None:
        for rule in self._rules:
            self._tell(rule, rule.update(self._tracks, mono_s), frame, mono_s)

    def _tell(
        self, rule: Rule, changes: Sequence[RuleChange], frame: av.VideoFrame, mono_s: float
    ) -> None:
        for change in changes:
            self._on_hit(self._hit(rule, change, frame, mono_s))

    def _hit(self, rule: Rule, change: RuleChange, frame: av.VideoFrame, mono_s: float) -> RuleHit:
        at = utc_at(self._clock, mono_s)
        hit = RuleHit(
            hit_id=new_ulid(at),
            camera_id=self._camera.camera_id,
            rule_id=change.rule_id,
            kind=rule.kind,
            state=change.state,
            at=at,
            mono_s=mono_s,
            tq=self._clock.quality(),
            objects=change.objects,
            reason=change.reason,
            model=self._model,
            is_measured=(self._client.manifest or self._manifest).is_measured,
            measures=change.measures,
        )
        return self._pictures.onto(hit, frame)

    def _take_over_settings(self) -> None:
        camera, self._next_camera = self._next_camera, None
        if camera is None:
            return
        if (camera.rules, camera.calibration) != (self._camera.rules, self._camera.calibration):
            self._rules = self._build(camera)
            self._survey = Survey(camera.calibration)
        is_other_measure = (camera.thresholds, camera.masks) != (
            self._camera.thresholds,
            self._camera.masks,
        )
        has_stopped = self._camera.detect and not camera.detect  # nobody would follow them on
        self._mask = PictureMask(camera.masks)
        self._camera = camera
        if is_other_measure or has_stopped:
            self._forget()
        self._log.info("settings taken over", rules=[rule.rule_id for rule in camera.rules])

    def _build(self, camera: CameraSettings) -> list[WatchedRule]:
        def local_time(mono_s: float) -> datetime:
            return utc_at(self._clock, mono_s).astimezone(self._time_zone)

        return build(camera.rules, Place(camera.calibration, local_time, self._folder))
