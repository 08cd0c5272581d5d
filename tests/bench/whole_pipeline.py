"""A recorder of subprocesses with all of its processes, as a widely used one has them.

`python -m tests.bench.whole_pipeline FOLDER SLOTS MAIN_URL SUB_URL [MAIN_URL SUB_URL ...]`,
written anew from what its source does. For each camera a capture process starts the two ffmpegs of
`pipeline_commands`, reads the pipe through a buffer of ten frames, copies each into a slot of
shared memory (a file below SLOTS) and names it in a queue to a second process, which looks for
motion with `contours`. The queue and the figures that both keep lie in a manager process, one for
all cameras.
"""

import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import mmap
from multiprocessing import get_context
from multiprocessing.managers import SyncManager, ValueProxy
from pathlib import Path
from queue import Empty, Full, Queue
from subprocess import PIPE, Popen

import numpy as np

from tests.bench.contours import ContourMotion
from tests.bench.pipeline_commands import HEIGHT_PX, WIDTH_PX, decoding, recording

_FRAME_BYTES = WIDTH_PX * HEIGHT_PX * 3 // 2
_SLOTS, _WAITING = 50, 2
_RATE_OVER_S = 10.0
_KIND = "usual"


@dataclass(frozen=True, slots=True)
class _Camera:
    """What both processes of a camera are given."""

    main_url: str
    sub_url: str
    folder: Path
    slots: Path
    frames: "Queue[tuple[str, float]]"
    read_fps: ValueProxy[float]
    skipped_fps: ValueProxy[float]
    seen_at: ValueProxy[float]
    seen_fps: ValueProxy[float]
    asked_fps: ValueProxy[float]


class _Rate:
    """Counts events a second over the last ten."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def count(self) -> None:
        self._times.append(time.monotonic())

    @property
    def per_s(self) -> float:
        oldest_s = time.monotonic() - _RATE_OVER_S
        while self._times and self._times[0] < oldest_s:
            self._times.popleft()
        return len(self._times) / _RATE_OVER_S


def run(folder: Path, slots: Path, urls: Sequence[str]) -> None:
    """Record and look until ended."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.bench.contours"])
    with context.Manager() as manager:
        # Held here to the end: the manager forgets what nobody holds any more.
        cameras = list(_cameras(manager, folder, slots, urls))
        processes = [
            context.Process(target=body, args=(camera,), daemon=True)
            for camera in cameras
            for body in (_look, _capture)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()


def _cameras(
    manager: SyncManager, folder: Path, slots: Path, urls: Sequence[str]
) -> Iterator[_Camera]:
    for number, (main_url, sub_url) in enumerate(zip(urls[::2], urls[1::2], strict=True)):
        own = slots / str(number)
        own.mkdir()
        for slot in range(_SLOTS):
            (own / str(slot)).write_bytes(bytes(_FRAME_BYTES))
        yield _Camera(
            main_url,
            sub_url,
            folder / f"segments-{number}",
            own,
            manager.Queue(maxsize=_WAITING),
            *(manager.Value("d", 0.0) for _ in range(5)),
        )


def _capture(camera: _Camera) -> None:
    """Body of the first process: from the pipe into shared memory."""
    read, skipped, slot = _Rate(), _Rate(), 0
    with (
        Popen(recording(_KIND, camera.main_url, camera.folder)),
        Popen(decoding(_KIND, camera.sub_url), stdout=PIPE, bufsize=10 * _FRAME_BYTES) as looking,
    ):
        assert looking.stdout is not None
        while True:
            camera.read_fps.value, camera.skipped_fps.value = read.per_s, skipped.per_s
            at, name = time.time(), str(slot)
            with _slot(camera, name) as memory:
                memory[:] = looking.stdout.read(_FRAME_BYTES)
                read.count()
                try:
                    camera.frames.put((name, at), block=False)
                except Full:
                    skipped.count()
            slot = (slot + 1) % _SLOTS


def _look(camera: _Camera) -> None:
    """Body of the second process: looks at what the first has named."""
    step, seen = ContourMotion(HEIGHT_PX, WIDTH_PX).update, _Rate()
    while True:
        try:
            name, at = camera.frames.get(timeout=1.0)
        except Empty:
            continue
        camera.seen_at.value = at
        with _slot(camera, name) as memory:
            luma = np.ndarray((HEIGHT_PX, WIDTH_PX), np.uint8, memory)
            step(luma)
            del luma  # else the slot can't be closed
        seen.count()
        camera.seen_fps.value, camera.asked_fps.value = seen.per_s, 0.0


@contextmanager
def _slot(camera: _Camera, name: str) -> Iterator[mmap]:
    """Open a slot for one frame, as is done there for each."""
    with (camera.slots / name).open("r+b") as file, mmap(file.fileno(), _FRAME_BYTES) as memory:
        yield memory


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
