"""One clip through the box's own eyes, at the clip's time and as fast as it can be looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import av
from av.error import FFmpegError

from agent.app.eyes import Eyes
from agent.app.picture_watch import PictureWatch
from agent.contract.events import TimeQuality
from agent.core.errors import ExamError
from agent.detect.detector import Detector
from agent.detect.letterbox import Letterboxed
from agent.detect.picture_health import LEARN_S, LOOK_EVERY_S
from agent.detect.sharing import Wish
from agent.detect.wire import DetectReply
from agent.exam.footage import Clip
from agent.exam.happenings import Alarm
from agent.messages.vision import Detection, HitState, RuleHit, TrackedObject
from agent.settings.model import CameraSettings

_DAY_ZERO = datetime(2026, 1, 1, tzinfo=UTC)
_TELL_EVERY = 50  # frames
COUNTING = frozenset({"line-crossing"})
KNOWN_S = 15.0  # of the clip: what the camera is taken to have seen for long
_LEARN_FOR_S = LEARN_S + 4 * LOOK_EVERY_S


@dataclass(frozen=True, slots=True)
class Look:
    """One answer of the detector: when, what it found, and the tracks after it."""

    at_s: float
    detections: tuple[Detection, ...]
    tracks: tuple[TrackedObject, ...]


@dataclass(slots=True)
class Sitting:
    """What the box saw and raised in one clip."""

    clip: Clip
    camera: CameraSettings
    duration_s: float = 0.0
    looks: list[Look] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    hits: list[RuleHit] = field(default_factory=list)
    counts: dict[str, object] = field(default_factory=dict)


class MediaClock:
    """A clock that shows the time of the frame that is looked at."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def utc_now(self) -> datetime:
        return _DAY_ZERO + timedelta(seconds=self.now_s)

    def monotonic_s(self) -> float:
        return self.now_s

    def quality(self) -> TimeQuality:
        return TimeQuality.UNSYNCED

    async def sleep_s(self, seconds: float) -> None:
        self.now_s += seconds


class _Direct:
    """The detector without a process of its own: answers every question."""

    def __init__(self, detector: Detector) -> None:
        self.state, self._detector = "ready", detector
        self.manifest = detector.manifest
        self.answer: tuple[int, tuple[Detection, ...]] = (0, ())

    def detect(self, picture: Letterboxed, frame_id: int, _wish: Wish | None = None) -> DetectReply:
        found = self._detector.detect(
            picture.image, picture.content_width_px, picture.content_height_px
        )
        self.answer = (frame_id, tuple(found))
        return DetectReply(
            frame_id=frame_id,
            detections=tuple(found),
            model=self._detector.manifest.model,
            took_ms=0.0,
            has_spare=True,
        )


def sit(
    clip: Clip,
    camera: CameraSettings,
    detector: Detector,
    tell: Callable[[float], None],
    until_s: float | None = None,
) -> Sitting:
    """Show the clip to the eyes; `tell` hears how far it is (0..1). Raises `ExamError`."""
    with TemporaryDirectory() as folder:
        return _sit(Sitting(clip, camera), detector, Path(folder), tell, until_s)


def _sit(
    sitting: Sitting,
    detector: Detector,
    folder: Path,
    tell: Callable[[float], None],
    until_s: float | None,
) -> Sitting:
    clip, camera = sitting.clip, sitting.camera
    clock, direct = MediaClock(), _Direct(detector)
    watch = PictureWatch(camera, folder, lambda _: None, clock)
    eyes = Eyes(
        camera,
        direct,
        detector.manifest,
        sitting.hits.append,
        clock,
        [watch.look],
        doubts=lambda: watch.doubts,
        folder=folder,
    )
    try:
        _get_used_to(clip, watch, clock)
        for number, (at_s, frame) in enumerate(frames_of(clip)):
            if until_s is not None and at_s >= until_s:
                break
            clock.now_s = at_s
            before = direct.answer
            eyes.look(frame, at_s)
            if direct.answer is not before:
                sitting.looks.append(Look(at_s, eyes.view.found, eyes.view.objects))
            sitting.duration_s = at_s + 1 / clip.fps
            if number % _TELL_EVERY == 0:
                tell(number / max(1, clip.frames))
    except FFmpegError as error:
        raise ExamError(
            "exam.footage",
            f"{clip.path.name} breaks off after {sitting.duration_s:.1f} s: {error}.",
            hint="Repair the file, or leave it out.",
        ) from error
    sitting.alarms = alarms_of(sitting.hits)
    sitting.counts = dict(eyes.status.counters)
    return sitting


def _get_used_to(clip: Clip, watch: PictureWatch, clock: MediaClock) -> None:
    """Let the picture health learn its camera, as it has on a pole: the first seconds, looped."""
    shown: list[av.VideoFrame] = []
    for at_s, frame in frames_of(clip):
        if at_s >= KNOWN_S:
            break
        if at_s >= len(shown) * LOOK_EVERY_S:
            shown.append(frame)
    clock.now_s = -_LEARN_FOR_S
    for frame in cycle(shown):
        if clock.now_s >= -LOOK_EVERY_S:
            break
        watch.look(frame, clock.utc_now(), clock.now_s)
        clock.now_s += LOOK_EVERY_S
    clock.now_s = 0.0


def frames_of(clip: Clip) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yield (seconds since the first, frame) of a clip."""
    with av.open(str(clip.path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        first_s: float | None = None
        for number, frame in enumerate(container.decode(stream)):
            at_s = frame.time if frame.time is not None else number / clip.fps
            first_s = at_s if first_s is None else first_s
            yield at_s - first_s, frame


def alarms_of(hits: Sequence[RuleHit]) -> list[Alarm]:
    """Return each beginning with its end; of a rule that counts, each count."""
    alarms: list[Alarm] = []
    open_: dict[str, Alarm] = {}
    counted: dict[tuple[str, str], float] = {}
    for hit in hits:
        if hit.kind in COUNTING:
            for way, count in hit.measures.items():
                more = count - counted.get((hit.rule_id, way), 0.0)
                counted[hit.rule_id, way] = count
                alarms += [
                    Alarm(hit.kind, hit.rule_id, hit.mono_s, hit.mono_s, way)
                    for _ in range(int(more))
                ]
        elif hit.state is HitState.BEGAN:
            alarm = open_[hit.rule_id] = Alarm(hit.kind, hit.rule_id, hit.mono_s)
            alarms.append(alarm)
        elif hit.state is HitState.ENDED and hit.rule_id in open_:
            open_.pop(hit.rule_id).end_s = hit.mono_s
    return alarms
