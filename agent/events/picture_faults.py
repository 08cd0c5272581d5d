"""A finding about a camera's picture as an incident: its key, code and how bad it is.

The worker says again what holds, so an incident opens on whichever word arrives first, and one
nobody confirms any more (camera lost, worker gone) ends by itself.
"""

from agent.contract.events import (
    CapCertainty,
    CapSeverity,
    CapUrgency,
    EventKind,
    Picture,
    StreamName,
)
from agent.events.happening import Happening
from agent.messages.picture import PictureFinding, PictureKind
from agent.messages.vision import HitState

KEY = "picture/"
CONFIRM_S = 180.0
"""A restarted worker must see a fault hold again before it confirms it."""

_MINOR = (PictureKind.NOISE, PictureKind.TILTED, PictureKind.GLARE, PictureKind.DIRTY)


def happening(finding: PictureFinding, *, thumbnails: bool) -> Happening:
    """Return what a finding means; its time is the beginning, or the end for one that ended."""
    picture = None
    if finding.picture_jpeg is not None and thumbnails:
        picture = Picture(
            taken_at=finding.at,
            width_px=finding.picture_width_px,
            height_px=finding.picture_height_px,
            jpeg=finding.picture_jpeg,
        )
    return Happening(
        key=f"{KEY}{finding.camera_id}/{finding.kind.value}",
        subject=finding.camera_id,
        kind=EventKind.PICTURE_FAULT,
        at=finding.at if finding.state is HitState.ENDED else finding.began_at,
        mono_s=finding.mono_s,
        tq=finding.tq,
        stream=StreamName.EVENT,
        picture=picture,
        detail=finding.detail or None,
        code=finding.kind.value,
        reason=finding.reason,
        severity=CapSeverity.MINOR if finding.kind in _MINOR else CapSeverity.MODERATE,
        urgency=CapUrgency.EXPECTED,
        certainty=CapCertainty.OBSERVED,
    )
