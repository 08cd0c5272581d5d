"""One picture now and then, kept long after the ring has turned: how the place looked for months.

Pictures lie in the camera's `timelapse/` folder as JPEG files named by their UTC time; a film of
them is made on request, in a process of its own.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av

from agent.core.errors import StorageError

FOLDER = "timelapse"
_NAME = "%Y%m%dT%H%M%SZ.jpg"
_FILM_FPS = 12


@dataclass(frozen=True, slots=True)
class Still:
    """One kept picture."""

    path: Path
    taken_at: datetime


def keep(camera_folder: Path, jpeg: bytes, taken_at: datetime) -> Path:
    """Store one picture; a crash leaves it whole or not at all. Raises `OSError`."""
    folder = camera_folder / FOLDER / f"{taken_at:%Y-%m}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / taken_at.astimezone(UTC).strftime(_NAME)
    scratch = path.with_suffix(".tmp")
    scratch.write_bytes(jpeg)
    scratch.replace(path)
    return path


def stills(camera_folder: Path, since: datetime, until: datetime) -> Iterator[Still]:
    """Yield the pictures taken in [since, until), oldest first."""
    for path in sorted((camera_folder / FOLDER).glob("*/*.jpg")):
        with suppress(ValueError):  # a file somebody else put there
            taken_at = datetime.strptime(path.name, _NAME).replace(tzinfo=UTC)
            if since <= taken_at < until:
                yield Still(path, taken_at)


def forget_older(camera_folder: Path, horizon: datetime) -> int:
    """Delete the pictures taken before `horizon`; return how many went."""
    begin = datetime(1970, 1, 1, tzinfo=UTC)
    gone = 0
    for still in stills(camera_folder, begin, horizon):
        still.path.unlink(missing_ok=True)
        gone += 1
    return gone


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
