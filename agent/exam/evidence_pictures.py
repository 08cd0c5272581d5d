"""A picture for each miss and false alarm, so that a person can see why."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path

from agent.exam.boxes import region_of
from agent.exam.drawing import ALARM, TRUTH, ZONE, Canvas, colour_of
from agent.exam.examiner import Sat
from agent.exam.sitting import Look, Sitting, frames_of
from agent.ingest.jpeg import encode_jpeg
from agent.settings.model import CameraSettings

_MOST_BYTES, _MOST_WIDTH_PX = 400_000, 1280
_MISS_AFTER_S = 1.0  # after the truth began, so that something is to be seen


def write_pictures(sats: list[Sat], folder: Path) -> list[Path]:
    """Write them into `folder`; return their files."""
    written: list[Path] = []
    for sat in sats:
        wanted = _wanted(sat)
        if wanted:
            written += _write(sat, wanted, folder)
    return written


def _wanted(sat: Sat) -> list[tuple[float, str, str]]:
    """Return (second, file name, caption) of what went wrong, in the order of time."""
    wanted: list[tuple[float, str, str]] = []
    for verdict in sat.verdicts:
        missed = [event.start_s + _MISS_AFTER_S for event in verdict.missed]
        wanted += [(at_s, "miss", verdict.behaviour) for at_s in missed]
        wanted += [(alarm.at_s, "false", verdict.behaviour) for alarm in verdict.false]
    stem = sat.sitting.clip.stem
    return sorted(
        (at_s, f"{stem}_{at_s:07.2f}_{what}_{behaviour}.jpg", f"{what} {behaviour} {at_s:.1f} s")
        for at_s, what, behaviour in wanted
    )


def _write(sat: Sat, wanted: list[tuple[float, str, str]], folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    waiting, written = list(wanted), list[Path]()
    last_s = max(0.0, sat.sitting.duration_s - 2 / sat.sitting.clip.fps)
    for at_s, frame in frames_of(sat.sitting.clip):
        due = [one for one in waiting if at_s >= min(one[0], last_s)]
        for one in due:
            waiting.remove(one)
            canvas = Canvas(frame)
            draw_camera(canvas, sat.sitting.camera)
            if sat.truth.boxes is not None:
                for box in sat.truth.boxes.at(at_s).boxes:
                    canvas.region(region_of(box), "", TRUTH)
            draw_tracks(canvas, look_at(sat.sitting, at_s))
            canvas.caption([sat.sitting.clip.stem, one[2]], ALARM)
            jpeg, *_ = encode_jpeg(canvas.frame(), _MOST_WIDTH_PX, _MOST_BYTES)
            path = folder / one[1]
            path.write_bytes(jpeg)
            written.append(path)
        if not waiting:
            break
    return written


def draw_camera(
    canvas: Canvas, camera: CameraSettings, active: frozenset[str] = frozenset()
) -> None:
    """Draw zones and lines; those that hold just now in the colour of alarm."""
    for rule in camera.rules:
        colour = ALARM if rule.rule_id in active else ZONE
        for name in ("zone", "line", "gauge"):
            points = getattr(rule, name, ())
            if points:
                canvas.shape(points, colour, closed=name == "zone")


def draw_tracks(canvas: Canvas, look: Look | None) -> None:
    """Draw what was followed; on a calibrated camera with its speed and about how tall it is."""
    for one in look.tracks if look else ():
        name = f"{one.track_id} {one.label} {one.score * 100:.0f}"
        if one.speed_mps is not None:
            name += f" {one.speed_mps:.1f} m/s"
        if one.height_m is not None:
            name += f" {one.height_m:.1f} m"
        canvas.region(one.region, name, colour_of(one.track_id))


def look_at(sitting: Sitting, at_s: float) -> Look | None:
    """Return the newest look at that time."""
    number = bisect_right([look.at_s for look in sitting.looks], at_s + 1e-6)
    return sitting.looks[number - 1] if number else None
