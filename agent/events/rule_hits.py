"""A rule hit as a happening: its weight, its pictures, who saw it. The key is decided later."""

from collections.abc import Callable

from agent.contract.events import EventKind, Picture, SeenObject
from agent.events.happening import Happening, stream_of
from agent.events.weights import certainty_of, grade_of, severity_of
from agent.messages.vision import HitState, RuleHit, TrackedObject


def happening(
    hit: RuleHit,
    *,
    thumbnails: bool,
    subject_of: Callable[[str, int], tuple[str, float] | None] = lambda _camera, _track: None,
) -> Happening:
    """Return what a hit means; without `thumbnails` it has no pictures.

    `subject_of` tells of a camera's track whom it was linked to, and how sure that is.
    """
    kind = EventKind(hit.kind)
    scene = (hit.picture_jpeg, hit.picture_width_px, hit.picture_height_px)
    crop = (hit.crop_jpeg, hit.crop_width_px, hit.crop_height_px)
    return Happening(
        key="",
        subject=hit.camera_id,
        kind=kind,
        at=hit.at,
        mono_s=hit.mono_s,
        tq=hit.tq,
        stream=stream_of(kind),
        hit_id=hit.hit_id if hit.state is HitState.BEGAN else None,
        rule_id=hit.rule_id,
        objects=tuple(
            _seen(thing, subject_of(hit.camera_id, thing.track_id)) for thing in hit.objects
        ),
        picture=_picture(hit, *scene) if thumbnails else None,
        crop=_picture(hit, *crop) if thumbnails else None,
        detail=hit.detail,
        reason=hit.reason,
        model=hit.model,
        severity=severity_of(hit),
        certainty=certainty_of(hit),
        grade=grade_of(hit),
        seen_by=hit.source,
        rules=(f"{hit.camera_id}/{hit.rule_id}",),
        measures=hit.measures,
    )


def _picture(hit: RuleHit, jpeg: bytes | None, width_px: int, height_px: int) -> Picture | None:
    if jpeg is None:
        return None
    return Picture(taken_at=hit.at, width_px=width_px, height_px=height_px, jpeg=jpeg)


def _seen(thing: TrackedObject, linked: tuple[str, float] | None) -> SeenObject:
    subject, certainty = linked or (None, None)
    return SeenObject(
        label=thing.label,
        score=round(thing.score, 3),
        track_id=thing.track_id,
        region=thing.region,
        ground_m=thing.ground_m,
        speed_mps=thing.speed_mps,
        height_m=thing.height_m,
        subject=subject,
        subject_certainty=certainty,
    )
