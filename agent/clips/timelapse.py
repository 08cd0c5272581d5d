"""A film of the pictures that are kept now and then (`agent.clips.stills`).

Made on request, in a process of its own: the core never loads libav.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import av
from av.error import FFmpegError

from agent.clips.export import written_whole
from agent.clips.stills import Still
from agent.core.errors import StorageError

_FILM_FPS = 12


def make_film(pictures: list[Still], out: Path) -> int:
    """Write the pictures as a film (WebM, VP8: plays in every browser); return its frames.

    One that can't be read is left out, and so not counted. Raises `StorageError`
    clip.nothing_recorded when there is no picture, clip.unreadable when none can be read,
    clip.not_written.
    """
    readable = _frames_of(pictures)
    first = next(readable, None)
    if first is None and pictures:
        raise StorageError(
            "clip.unreadable",
            f"None of the {len(pictures)} timelapse pictures of that time can be read.",
            hint="They may just have been deleted; else check the disk.",
        )
    if first is None:
        raise StorageError(
            "clip.nothing_recorded",
            "There is no timelapse picture in that time.",
            hint="Ask for a longer time; `timelapse.every_s` says how often one is kept.",
        )
    frames = 0
    with written_whole(out), av.open(str(out), "w", format="webm") as film:
        stream = film.add_stream("libvpx", rate=_FILM_FPS)
        stream.width, stream.height = first.width & ~1, first.height & ~1
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 2_000_000
        stream.options = {"deadline": "realtime", "cpu-used": "8"}
        for frame in chain([first], readable):
            ready = frame.reformat(width=stream.width, height=stream.height, format="yuv420p")
            ready.pts, ready.time_base = frames, Fraction(1, _FILM_FPS)
            film.mux(stream.encode(ready))
            frames += 1
        film.mux(stream.encode(None))
    return frames


def _frames_of(pictures: Iterable[Still]) -> Iterator[av.VideoFrame]:
    for still in pictures:
        with suppress(FFmpegError, OSError), av.open(str(still.path)) as picture:
            yield from islice(picture.decode(video=0), 1)
