"""How often the motion gate opens and the detector is asked: in each synthetic scene, and in clips.

`python -m tests.bench.gate [--seconds N] [CLIP...]` shows a minute of each scene, in which nothing
happens (but in crowd and street), and real clips, to the box's own eyes at five frames a second.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
from click import echo

from agent.detect.detector import open_detector
from agent.exam.footage import open_clip
from agent.exam.sitting import frames_of
from agent.simulators import drawn_scene, drawn_weather
from tests.watched_film import watch

FPS = 5.0


def of_clip(path: Path) -> Iterator[av.VideoFrame]:
    """Yield the frames of a clip, five for each second."""
    due_s = 0.0
    for at_s, frame in frames_of(open_clip(path)):
        if at_s >= due_s - 0.01:
            due_s += 1 / FPS
            yield frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--seconds", type=int, default=60)
    told = parser.parse_args()
    films = {
        name: drawn_weather.frames(name, 640, 360, FPS, told.seconds)
        for name in drawn_weather.SCENES
    }
    films["street"] = drawn_scene.frames(640, 360, FPS, told.seconds)
    films |= {path.stem: of_clip(path) for path in told.clips}
    detector = open_detector()
    for name, film in films.items():
        with tempfile.TemporaryDirectory() as folder:
            *_, eyes = watch(film, (), detector, Path(folder), fps=FPS)
        status = eyes.status
        opened, asked = (
            count / status.frames_total
            for count in (status.motion_frames_total, status.asked_total)
        )
        echo(f"{name:24} gate open in {opened:4.0%} of frames, {asked:4.0%} asked about")


if __name__ == "__main__":
    main()
