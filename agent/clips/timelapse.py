"""A film of the pictures that are kept now and then (`agent.clips.stills`).

Made on request, in a process of its own: the core never loads libav.
"""

from fractions import Fraction
from pathlib import Path

import av

from agent.clips.stills import Still
from agent.core.errors import StorageError

_FILM_FPS = 12


def make_film(pictures: list[Still], out: Path) -> int:
    """Write the pictures as a film (WebM, VP8: plays in every browser); return its frames.

    Raises `StorageError` clip.nothing_recorded when there is no picture.
    """
    if not pictures:
        raise StorageError(
            "clip.nothing_recorded",
            "There is no timelapse picture in that time.",
            hint="Ask for a longer time; `timelapse.every_s` says how often one is kept.",
        )
    frames = 0
    with av.open(str(out), "w", format="webm") as film:
        stream = None
        for still in pictures:
            with av.open(str(still.path)) as picture:
                frame = next(picture.decode(video=0))
            if stream is None:
                stream = film.add_stream("libvpx", rate=_FILM_FPS)
                stream.width, stream.height = frame.width & ~1, frame.height & ~1
                stream.pix_fmt = "yuv420p"
                stream.bit_rate = 2_000_000
                stream.options = {"deadline": "realtime", "cpu-used": "8"}
            ready = frame.reformat(width=stream.width, height=stream.height, format="yuv420p")
            ready.pts, ready.time_base = frames, Fraction(1, _FILM_FPS)
            film.mux(stream.encode(ready))
            frames += 1
        if stream is not None:
            film.mux(stream.encode(None))
    return frames
