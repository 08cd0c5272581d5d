"""The whole exam: every clip and picture is looked at, set against its truth, and counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

from agent.detect.detector import Detector
from agent.exam.candidate import RulesFile, camera_by_truth
from agent.exam.detections import DetectorMeter, DetectorScore
from agent.exam.footage import Clip, ClipTruth, Told, TruthFinder, find_footage, open_clip
from agent.exam.happenings import (
    Alarm,
    BehaviourScore,
    QuietScore,
    TrueEvent,
    Verdict,
    by_behaviour,
    judge,
    quiet_score,
    score,
)
from agent.exam.photographs import look_at_pictures
from agent.exam.sitting import Sitting, sit
from agent.exam.tracks import TrackerMeter, TrackerScore
from agent.exam.true_events import judged, true_events
from agent.settings.model import CameraSettings


class ClipReport(Struct, frozen=True, kw_only=True):
    """What came out for one clip. None: the truth does not say."""

    name: str
    condition: str
    seconds: float
    updates: int
    detector: dict[str, DetectorScore]
    tracker: TrackerScore | None
    behaviours: dict[str, BehaviourScore]
    alarms: list[dict[str, object]]
    unjudged_alarms: int = 0
    counts: dict[str, object] = {}


class Report(Struct, frozen=True, kw_only=True):
    """The exam's result; this is what `--json` prints."""

    model: str
    updates_per_s: float
    behaviours: dict[str, BehaviourScore]
    by_condition: dict[str, dict[str, BehaviourScore]]
    detector: dict[str, DetectorScore]
    map50: float | None
    tracker: TrackerScore | None
    quiet: QuietScore
    pictures: dict[str, DetectorScore]
    pictures_map50: float | None
    clips: list[ClipReport]
    left_out: list[str]
    notes: list[str]


@dataclass(slots=True)
class Sat:
    """One clip's sitting and its verdicts, for pictures and XML."""

    sitting: Sitting
    truth: ClipTruth
    events: list[TrueEvent]
    verdicts: list[Verdict]


@dataclass(slots=True)
class Exam:
    """What is asked: where the footage and the truth lie, and how to look."""

    footage: Sequence[Path]
    truth: Path
    rules: Path | None = None
    updates_per_s: float | None = None
    told: Told = field(default_factory=Told)
    until_s: float | None = None


Tell = Callable[[str, float], None]


def hold(exam: Exam, detector: Detector, tell: Tell) -> tuple[Report, list[Sat]]:
    """Hold the exam; `tell` hears which clip is looked at and how far. Raises `ExamError`."""
    videos, pictures = find_footage(exam.footage)
    clips = [open_clip(path) for path in videos]
    finder = TruthFinder(exam.truth, clips, exam.told)
    rules = RulesFile(exam.rules) if exam.rules else None
    whole, tracker = DetectorMeter(), TrackerMeter()
    sats: list[Sat] = []
    reports: list[ClipReport] = []
    left_out: list[str] = []
    for clip in clips:
        truth = finder.of_clip(clip)
        if truth is None:
            left_out.append(clip.path.name)
            continue
        sat = _sit(clip, truth, _camera(exam, rules, clip, truth), detector, exam, tell)
        sats.append(sat)
        reports.append(_report(sat, detector, whole, tracker))
    labelled = [(path, labels) for path in pictures if (labels := finder.labels_of(path))]
    left_out += [path.name for path in pictures if path not in {one for one, _ in labelled}]
    photographs = look_at_pictures(labelled, detector, lambda done: tell("pictures", done))
    scores = whole.scores()
    return Report(
        model=detector.manifest.model,
        updates_per_s=exam.updates_per_s or (sats[0].sitting.camera.detect_fps if sats else 0.0),
        behaviours=_scores([verdict for sat in sats for verdict in sat.verdicts]),
        by_condition=_by_condition(sats),
        detector=scores,
        map50=_mean(scores),
        tracker=tracker.total(),
        quiet=quiet_score((s.sitting.duration_s, s.events, s.verdicts) for s in sats),
        pictures=photographs,
        pictures_map50=_mean(photographs),
        clips=reports,
        left_out=left_out,
        notes=_notes(tracker, sats),
    ), sats


def _camera(exam: Exam, rules: RulesFile | None, clip: Clip, truth: ClipTruth) -> CameraSettings:
    if rules is not None:
        return rules.camera_for(clip.stem, exam.updates_per_s)
    return camera_by_truth(clip.stem, truth.expected, truth.fit, exam.updates_per_s)


def _sit(
    clip: Clip,
    truth: ClipTruth,
    camera: CameraSettings,
    detector: Detector,
    exam: Exam,
    tell: Tell,
) -> Sat:
    sitting = sit(clip, camera, detector, lambda done: tell(clip.path.name, done), exam.until_s)
    events = true_events(camera, truth, sitting.duration_s)
    kinds = judged(camera, truth)
    verdicts = [
        judge(
            kind,
            [event for event in events if event.behaviour == kind],
            [alarm for alarm in sitting.alarms if alarm.behaviour == kind],
        )
        for kind in sorted(kinds)
    ]
    return Sat(sitting, truth, events, verdicts)


def _report(
    sat: Sat, detector: Detector, whole: DetectorMeter, tracker: TrackerMeter
) -> ClipReport:
    sitting, boxes = sat.sitting, sat.truth.boxes
    own = DetectorMeter()
    tracked: TrackerScore | None = None
    if boxes is not None:
        thresholds = detector.manifest.form_for(*sitting.clip.size_px).thresholds
        threshold = min(thresholds.of(label) for label in boxes.labels)
        ious = [boxes.min_iou, *(0.05 * k for k in range(11, 20))]
        for look in sitting.looks:
            found = [one for one in look.detections if one.label in boxes.labels]
            for meter in (own, whole):
                meter.add(
                    boxes.name, found, boxes.at(look.at_s).boxes, threshold=threshold, ious=ious
                )
        if boxes.has_ids:
            seen = [
                ([one for one in look.tracks if one.label in boxes.labels], boxes.at(look.at_s))
                for look in sitting.looks
            ]
            tracked = tracker.add(seen, boxes.min_iou)
    known = {verdict.behaviour for verdict in sat.verdicts}
    return ClipReport(
        name=sitting.clip.stem,
        condition=sat.truth.condition,
        seconds=round(sitting.duration_s, 2),
        updates=len(sitting.looks),
        detector=own.scores(),
        tracker=tracked,
        behaviours=_scores(sat.verdicts),
        alarms=[_told(alarm, sat.verdicts) for alarm in sitting.alarms],
        unjudged_alarms=sum(alarm.behaviour not in known for alarm in sitting.alarms),
        counts=sitting.counts,
    )


def _told(alarm: Alarm, verdicts: Sequence[Verdict]) -> dict[str, object]:
    right = any(alarm is one for verdict in verdicts for _, one in verdict.found)
    false = any(alarm is one for verdict in verdicts for one in verdict.false)
    return {
        "behaviour": alarm.behaviour,
        "rule_id": alarm.rule_id,
        "at_s": round(alarm.at_s, 2),
        "end_s": None if alarm.end_s is None else round(alarm.end_s, 2),
        "verdict": "right" if right else "false" if false else "not judged",
        "detail": alarm.detail,
    }


def _scores(verdicts: Sequence[Verdict]) -> dict[str, BehaviourScore]:
    return {name: score(own) for name, own in by_behaviour(verdicts).items()}


def _by_condition(sats: Sequence[Sat]) -> dict[str, dict[str, BehaviourScore]]:
    conditions = sorted({sat.truth.condition for sat in sats})
    return {
        name: _scores([v for sat in sats if sat.truth.condition == name for v in sat.verdicts])
        for name in conditions
    }


def _mean(scores: dict[str, DetectorScore]) -> float | None:
    return round(sum(one.ap50 for one in scores.values()) / len(scores), 2) if scores else None


def _notes(tracker: TrackerMeter, sats: Sequence[Sat]) -> list[str]:
    notes = []
    if not tracker.is_installed:
        notes.append("Tracks are not scored: install poleside[exam] for the metrics library.")
    short = sum(sat.sitting.duration_s for sat in sats)
    if short < 3600:
        notes.append(f"{short:.0f} s of footage: false alarms per camera-day are a rough figure.")
    return notes
