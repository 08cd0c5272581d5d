"""What looking costs: the whole way of a frame beside the bare interpreter, in one run.

`python -m tests.bench.vision` prints ratios of CPU seconds (this thread's), so that others on the
machine do not count. Frames are of the drawn street; `--clip FILE` takes real ones. Search is timed
over `--tracks` sightings made up for it.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from pathlib import Path

import av
import numpy as np
from click import echo

from agent.app.eyes import Eyes
from agent.app.sighting_watch import SightingWatch
from agent.core.clock import SystemClock
from agent.detect.client import DetectClient
from agent.detect.detector import open_detector
from agent.detect.server import serve
from agent.exam.sitting import MediaClock, _Direct
from agent.rules.zone import contains
from agent.settings.model import CameraSettings, IntrusionRule, SightingSettings
from agent.sightings.store import SIGHTINGS_FILE, OnGround, Sighting, SightingStore, Wanted, search
from agent.sightings.words import COLOURS, DIRECTIONS
from agent.simulators import drawn_scene

FPS, SECONDS = 5, 20
ZONE = ((0.3, 0.3), (0.7, 0.3), (0.7, 0.9), (0.3, 0.9))
RULE = IntrusionRule(rule_id="road", zone=drawn_scene.ROAD_ZONE)


def frames_of(clip: Path | None) -> list[av.VideoFrame]:
    """Return decoded frames, planar as a camera's are."""
    if clip is not None:
        with av.open(str(clip)) as container:
            container.streams.video[0].codec_context.thread_count = 1
            return list(container.decode(video=0))[:300]
    shown = drawn_scene.frames(640, 360, FPS, SECONDS)
    return [
        av.VideoFrame.from_ndarray(one, format="rgb24").reformat(format="yuv420p") for one in shown
    ]


def bare_ms(detector, shape, times: int = 60) -> float:
    """Return CPU milliseconds of one bare invoke of the interpreter for pictures of this shape."""
    image, backend = np.full(shape, 114, np.uint8), detector.backend(shape)
    began = time.thread_time()
    for _ in range(times):
        backend.invoke(image)
    return (time.thread_time() - began) / times * 1000


def eyes_ms(detector, frames, *, moving: bool) -> tuple[float, int, int]:
    """Return CPU milliseconds a frame of the whole way, and how many frames were asked about."""
    clock, direct = MediaClock(), _Direct(detector)
    camera = CameraSettings(camera_id="gate", main_url="rtsp://b/", rules=(RULE,), detect_fps=FPS)
    with tempfile.TemporaryDirectory() as folder:
        eyes = Eyes(
            camera,
            direct,
            detector.manifest,
            lambda _: None,
            clock,
            [lambda *seen: sightings.look(*seen)],  # noqa: PLW0108 - made below
        )
        SightingStore(Path(folder), keep_days=30, max_bytes=1 << 30).close()  # as from yesterday
        sightings = SightingWatch(
            camera, Path(folder), SightingSettings(), clock, lambda: eyes.view.objects
        )
        shown = frames if moving else [frames[0]] * len(frames)
        for number, frame in enumerate(shown[:25]):  # the gate learns the scene
            clock.now_s = number / FPS
            eyes.look(frame, clock.now_s)
        before = eyes.status
        began = time.thread_time()
        for number, frame in enumerate(shown[25:], 25):
            clock.now_s = number / FPS
            eyes.look(frame, clock.now_s)
        spent = time.thread_time() - began
        sightings.close()
        asked = eyes.status.asked_total - before.asked_total
    return spent / (len(shown) - 25) * 1000, asked, len(shown) - 25


def sharing(
    detector, frames, cameras: int, fps: float, seconds: float = 12.0
) -> tuple[list, float]:
    """Let cameras share one detector in real time; return their statuses and the worst lag (s).

    The first two have a rule that will hold, the others none.
    """
    clock, stop = SystemClock(), threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "detect.sock"
        server = threading.Thread(target=serve, args=(path, detector, lambda: None, stop))
        server.start()
        lags: list[float] = []
        statuses = [None] * cameras

        def look(number: int) -> None:
            while not path.exists():
                stop.wait(0.01)
            camera = CameraSettings(
                camera_id=f"c{number}",
                main_url="rtsp://b/",
                rules=(RULE,) if number < 2 else (),
                detect_fps=fps,
            )
            client = DetectClient(path, clock, camera_id=camera.camera_id)
            eyes = Eyes(camera, client, detector.manifest, lambda _: None, clock)
            begin_s, n = clock.monotonic_s() + number / fps / cameras, 0
            while n / fps < seconds:
                due_s = begin_s + n / fps
                stop.wait(max(0.0, due_s - clock.monotonic_s()))
                eyes.look(frames[(25 + n) % len(frames)], clock.monotonic_s())
                late_s = clock.monotonic_s() - due_s
                lags.append(late_s)
                n += 1 + int(late_s * fps)  # as the worker does: the newest frame, not the queue
            statuses[number] = eyes.status
            client.close()

        threads = [threading.Thread(target=look, args=(n,)) for n in range(cameras)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        stop.set()
        server.join()
    return statuses, max(lags)


def fill(folder: Path, tracks: int, *, thumbnails: int) -> None:
    """Keep so many made-up sightings of 30 days, the newest of them with a picture of 2 kB."""
    luck = random.Random(1)
    store = SightingStore(folder, keep_days=365, max_bytes=1 << 40)
    start, step = datetime(2026, 10, 23, tzinfo=UTC), timedelta(days=30) / tracks

    def one(number: int) -> Sighting:
        at = start + number * step
        x, y = luck.random(), luck.random()
        way = tuple((x, min(1.0, y + 0.01 * k)) for k in range(8))
        return Sighting(
            begin=at,
            end=at + timedelta(seconds=luck.uniform(2, 60)),
            track_id=number,
            label=luck.choices(["person", "car", "bicycle", "dog"], [70, 25, 4, 1])[0],
            score=luck.random(),
            height=luck.random(),
            way=way,
            upper=luck.choice(COLOURS),
            lower=luck.choice(COLOURS),
            direction=luck.choice(DIRECTIONS),
            hat=luck.choice(("unknown", "unknown", "unknown", "red")),
            speed_mps=luck.random(),
            ground=OnGround((x * 10, y * 30), (x * 10, y * 30 + 5), 1.7),
            model="m/1",
            jpeg=luck.randbytes(2000) if number >= tracks - thumbnails else b"",
        )

    for begin in range(0, tracks, 20_000):
        store.add([one(number) for number in range(begin, min(tracks, begin + 20_000))])
    store.close()


def search_ms(folder: Path, questions: int = 200) -> tuple[float, float]:
    """Return p50 and p95 of questions as people ask them, in milliseconds of wall time."""
    luck, taken = random.Random(2), []
    start = datetime(2026, 10, 23, tzinfo=UTC)
    for _ in range(questions):
        since = start + timedelta(days=luck.uniform(0, 29))
        zone = luck.choice([(), ZONE, ((0.9, 0.9), (0.95, 0.9), (0.95, 0.95))])
        wanted = Wanted(
            label=luck.choice(["person", "Vehicle", "dog", ""]),
            upper=luck.choice([*COLOURS[1:], "", ""]),
            lower=luck.choice([*COLOURS[1:], "", "", ""]),
            since=luck.choice([None, since]),
            until=luck.choice([None, since + timedelta(hours=6)]),
            zone=zone,
        )
        began = time.perf_counter()
        search(folder, wanted, partial(contains, zone) if zone else None)
        taken.append((time.perf_counter() - began) * 1000)
    return float(np.percentile(taken, 50)), float(np.percentile(taken, 95))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--tracks", type=int, default=1_000_000)
    parser.add_argument("--cameras", default="4,8")
    parser.add_argument("--fps", default="5,15", help="looks a second that each camera wishes for")
    told = parser.parse_args()
    detector, frames = open_detector(), frames_of(told.clip)
    moving, still = eyes_ms(detector, frames, moving=True), eyes_ms(detector, frames, moving=False)
    shape = detector.manifest.form_for(frames[0].width, frames[0].height).input.shape
    bare = (bare_ms(detector, shape) + bare_ms(detector, shape)) / 2
    asked_ms = moving[0] * moving[2] / max(1, moving[1])
    echo(f"bare invoke {bare:.1f} ms of CPU, pictures of {shape[1]}x{shape[0]}")
    echo(f"whole way, a frame asked about: {asked_ms:.1f} ms = {asked_ms / bare:.2f} x (goal 1.3)")
    echo(f"whole way, nothing moves: {still[0]:.2f} ms = {still[0] / bare:.2f} x (goal 0.15)")
    rates = [float(rate) for rate in told.fps.split(",")]
    for cameras, fps in product((int(n) for n in told.cameras.split(",") if n), rates):
        statuses, lag_s = sharing(detector, frames, cameras, fps)
        wished = sum(one.wished_total for one in statuses)
        shed = sum(one.shed_total for one in statuses)
        each = " ".join(f"{one.shed_total / max(1, one.wished_total):.0%}" for one in statuses)
        echo(
            f"{cameras} cameras at {fps:g}/s: {wished - shed} of {wished} looks,"
            f" {shed / wished:.0%} shed (each: {each}), worst lag {lag_s:.2f} s"
        )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, told.tracks, thumbnails=told.tracks // 20)
        size = (folder / SIGHTINGS_FILE).stat().st_size - told.tracks // 20 * 2000
        p50, p95 = search_ms(folder)
        echo(
            f"search over {told.tracks:,} tracks: p50 {p50:.0f} ms, p95 {p95:.0f} ms (goal 300); "
            f"{size / told.tracks:.0f} bytes a track, and its picture"
        )


if __name__ == "__main__":
    main()
