"""The report in words and columns, for a person at a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from agent.exam.examiner import Report
from agent.exam.happenings import BehaviourScore


def lines(report: Report) -> Iterator[str]:
    """Yield the report's lines."""
    yield f"Model {report.model}, {report.updates_per_s:g} updates a second"
    yield ""
    yield "Clip                               cond.    s  AP50  rec.   IDF1   MOTA  ids  behaviours"
    for clip in report.clips:
        seen = next(iter(clip.detector.values()), None)
        tracked = clip.tracker
        told = ", ".join(
            f"{name} {one.found}/{one.truths}" + (f" +{one.false} false" if one.false else "")
            for name, one in clip.behaviours.items()
            if one.truths or one.false
        )
        ap50 = f"{seen.ap50:5.1f} {seen.recall:5.1f}" if seen else "    -     -"
        ids = (
            f"{tracked.idf1:6.3f} {tracked.mota:6.3f} {tracked.switches:4d}"
            if tracked
            else "     -      -    -"
        )
        yield (
            f"{clip.name:34.34} {clip.condition:6.6} {clip.seconds:4.0f} {ap50} {ids}  "
            f"{told or '-'}"
        )
    yield ""
    yield "Behaviour             truths found missed false  prec. recall     F1   late s"
    for name, one in report.behaviours.items():
        yield _behaviour(name, one)
    for condition, own in report.by_condition.items():
        if len(report.by_condition) > 1:
            for name, one in own.items():
                if one.truths or one.false:
                    yield _behaviour(f"  {condition}: {name}", one)
    yield ""
    yield from _figures(report)


def _behaviour(name: str, one: BehaviourScore) -> str:
    late = "-" if one.late_s is None else f"{one.late_s:.2f}"
    return (
        f"{name:21.21} {one.truths:6d} {one.found:5d} {one.missed:6d} {one.false:5d} "
        f"{one.precision:6.1f} {one.recall:6.1f} {one.f1:6.1f} {late:>8}"
    )


def _figures(report: Report) -> Iterator[str]:
    for name, seen in report.detector.items():
        yield (
            f"Detector, {name}: AP50 {seen.ap50:.1f}, AP50-95 {seen.ap50_95:.1f}, precision "
            f"{seen.precision:.1f} and recall {seen.recall:.1f} at {seen.score:g} "
            f"({seen.boxes} boxes)"
        )
    if report.pictures_map50 is not None:
        best = sorted(report.pictures.items(), key=lambda one: -one[1].boxes)[:6]
        some = ", ".join(f"{name} {one.ap50:.0f} ({one.boxes})" for name, one in best)
        yield (
            f"Pictures: mAP50 {report.pictures_map50:.1f} over {len(report.pictures)} classes;"
            f" {some}"
        )
    if report.tracker is not None:
        one = report.tracker
        yield (
            f"Tracker: IDF1 {one.idf1:.3f}, MOTA {one.mota:.3f}, {one.switches} id switches of "
            f"{one.people} in {one.updates} updates"
        )
    quiet = report.quiet
    yield (
        f"Quiet: {quiet.false_alarms} false alarms in {quiet.seconds:.0f} s, "
        f"{quiet.per_camera_day:g} per camera-day (at most {quiet.at_most_per_camera_day:g}, 95 %)"
    )
    if report.left_out:
        yield f"Left out, no truth: {', '.join(report.left_out)}"
    yield from report.notes
