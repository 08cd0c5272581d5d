"""A sighting as facts for JSON: on the command line, and in a reply to the center."""

from agent.sightings.store import Sighting


def facts_of(one: Sighting) -> dict[str, object]:
    """Return all but the picture. Colours and bags are of assist grade; a hat is never told."""
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
        "hat": "unknown",
        "height": one.height,
        "direction": one.direction,
        "speed_mps": one.speed_mps,
        "way": [[round(x, 3), round(y, 3)] for x, y in one.way],
        "model": one.model,
        "grade": "assist",
    }
