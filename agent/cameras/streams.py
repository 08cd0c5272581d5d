"""Which of a camera's streams is recorded and which is looked at: decided by facts alone.

The order and the names of profiles mean nothing: cameras list them as they like.
"""

from dataclasses import dataclass
from math import log2

from agent.cameras.port import StreamProfile

_VIDEO_ENCODINGS = ("H264", "H265")
_SUB_PIXELS = 640 * 360  # what a detector of 416 px wants, and little to decode
_SUB_FPS = 5.0  # what detection looks at
LONG_GOP_S = 4.0  # clips begin late, and whoever looks waits so long for a picture


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
    """Return main and sub; JPEG only if all is.

    Main has the most pixels, then no long GOP, then the higher rate. Sub is a smaller one: quick
    enough to detect on, of about 640 x 360, without a long GOP. What is not told counts as good.
    """
    usable = [profile for profile in profiles if profile.encoding in _VIDEO_ENCODINGS]
    usable = usable or [profile for profile in profiles if profile.encoding]
    if not usable:
        return None, None
    main = min(usable, key=_main_rank)
    smaller = [profile for profile in usable if 0 < _pixels(profile) < _pixels(main)]
    return main, min(smaller, key=_sub_rank, default=None)


def gop_s(profile: StreamProfile) -> float:
    """Return the time from one key frame to the next; 0 when the camera does not tell."""
    return profile.gop / profile.fps if profile.fps > 0 else 0.0


def _main_rank(it: StreamProfile) -> tuple[object, ...]:
    is_long = gop_s(it) > LONG_GOP_S
    return -_pixels(it), is_long, -it.fps, gop_s(it), it.encoding != "H264", it.token


def _sub_rank(it: StreamProfile) -> tuple[object, ...]:
    is_slow = 0 < it.fps < _SUB_FPS
    steps = round(abs(log2(_pixels(it) / _SUB_PIXELS)))  # 0: at most 1.4 times too big or small
    distance = abs(_pixels(it) - _SUB_PIXELS)
    is_long = gop_s(it) > LONG_GOP_S
    return is_slow, steps, is_long, it.encoding != "H264", distance, gop_s(it), -it.fps, it.token


def _pixels(profile: StreamProfile) -> int:
    return profile.width_px * profile.height_px
