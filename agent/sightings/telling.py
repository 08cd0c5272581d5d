"""A sighting as facts for JSON: on the command line, and in a reply to the center."""

from agent.sightings.store import Sighting
from agent.sightings.words import size_of


def facts_of(one: Sighting) -> dict[str, object]:
    """Return all but the picture. Colours, bags, hats and subjects are of assist grade."""
    ground = one.ground
    return {
        "camera_id": one.camera_id,
        "number": one.number,
        "begin_at": one.begin.isoformat(),
        "end_at": one.end.isoformat(),
        "track_id": one.track_id,
        "label": one.label,
        "onvif_type": one.onvif_type,
        "score": one.score,
        "upper": one.upper,
        "lower": one.lower,
        "bag": one.bag,
        "hat": one.hat,
        "height": one.height,
        "size": size_of(one.height),
        "direction": one.direction,
        "speed_mps": one.speed_mps,
        "height_m": ground.height_m if ground else None,
        "came_m": ground.came_m if ground else None,
        "left_m": ground.left_m if ground else None,
        "subject": one.subject or None,
        "subject_certainty": one.subject_certainty,
        "way": [[round(x, 3), round(y, 3)] for x, y in one.way],
        "model": one.model,
        "grade": "assist",
    }
