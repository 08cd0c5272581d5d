"""Which of a camera's streams is recorded and which is looked at: decided by facts alone.

The order and the names of profiles mean nothing: cameras list them as they like.
"""

from dataclasses import dataclass

from agent.cameras.port import StreamProfile

_VIDEO_ENCODINGS = ("H264", "H265")
_SUB_PIXELS = 640 * 360  # what a detector of 416 px wants, and little to decode


@dataclass(frozen=True, slots=True)
class CameraStreams:
    """Addresses without login, and the facts they were chosen by. No sub: the camera has one."""

    main_url: str
    main: StreamProfile
    sub_url: str | None = None
    sub: StreamProfile | None = None


def choose(
    profiles: tuple[StreamProfile, ...],
) -> tuple[StreamProfile | None, StreamProfile | None]:
    """Return main (most pixels) and sub (smaller, nearest to 640 x 360); JPEG only if all is."""
    usable = [profile for profile in profiles if profile.encoding in _VIDEO_ENCODINGS]
    usable = usable or [profile for profile in profiles if profile.encoding]
    if not usable:
        return None, None
    main = max(usable, key=lambda p: (_pixels(p), p.fps, p.encoding == "H264", p.token))
    smaller = [profile for profile in usable if 0 < _pixels(profile) < _pixels(main)]
    sub = min(
        smaller,
        key=lambda p: (abs(_pixels(p) - _SUB_PIXELS), p.encoding != "H264", p.token),
        default=None,
    )
    return main, sub


def _pixels(profile: StreamProfile) -> int:
    return profile.width_px * profile.height_px
