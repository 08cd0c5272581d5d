"""A recorder and an outbox that run free until kill -9, and what they had been told by then.

Forked from a prepared server. What they were promised is counted in a shared file of three numbers,
so that it survives them and costs no system call that could fall in step with the kill.
"""

import asyncio
import io
import itertools
import mmap
import multiprocessing
import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av

from tests.faults.crash_lab.box_workload import CAMERA, DATABASE, OutboxUser
from tests.faults.crash_lab.disturbed_box import MODULE, quiet
from tests.recording import Tape, packets_of

SEGMENT_S = 2.0
DIED_S = 30.0
_NUMBER = struct.Struct("<q")


class Counter:
    """A number in a shared file, written by the victim and read by who kills it."""

    def __init__(self, path: Path, place: int) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self._offset = place * _NUMBER.size

    @property
    def value(self) -> int:
        return int(_NUMBER.unpack_from(self._memory, self._offset)[0])

    @value.setter
    def value(self, number: int) -> None:
        _NUMBER.pack_into(self._memory, self._offset, number)


@dataclass(frozen=True, slots=True)
class Told:
    """What the victim knew: frames handed over, hits kept, records queued and acknowledged."""

    frames: int
    hits: int
    rows: int


class _Counters:
    def __init__(self, path: Path) -> None:
        self.frames, self.hits, self.rows = (Counter(path, place) for place in range(3))


def record_forever(folder: Path, clip: Path, counts: Path) -> None:
    """Record the clip again and again, each time as a run of its own."""
    quiet()
    told, content = _Counters(counts), clip.read_bytes()
    tape = Tape(folder / CAMERA, segment_s=SEGMENT_S)
    sync = threading.Thread(target=tape.recorder.keep_synced, args=(threading.Event(),))
    sync.start()
    numbers = itertools.count(1)
    while True:
        with av.open(io.BytesIO(content)) as container:
            stream = container.streams.video[0]
            tape.recorder.run_started(stream, "h264", (stream.width, stream.height))
            for packet in packets_of(container):
                tape.clock.pass_s(1 / float(stream.average_rate))
                tape.recorder.packet(packet, tape.clock.monotonic_s())
                told.frames.value = number = next(numbers)
                if number % 10 == 0:
                    now = tape.clock
                    hit_id = f"hit-{number // 10}"
                    tape.index.keep_hit(hit_id, now.utc_now(), now.monotonic_s(), "began", b"x")
                    told.hits.value = number // 10
            tape.recorder.run_ended("lost")


def queue_forever(folder: Path, _clip: Path, counts: Path) -> None:
    """Queue records, in groups of growing and shrinking size, and take some acknowledgements."""
    quiet()
    asyncio.run(_queue(folder, _Counters(counts)))


async def _queue(folder: Path, told: _Counters) -> None:
    user = OutboxUser(folder / DATABASE)
    await user.start()
    numbers = itertools.count(1)

    async def one() -> None:
        number = next(numbers)
        assert await user.append(f"row-{number}") == number
        told.rows.value = number

    for group in itertools.cycle((1, 3, 1, 8, 2)):
        await asyncio.gather(*(one() for _ in range(group)))
        if group == 8:
            await user.acknowledge(told.rows.value // 2)


def killed(
    body: Callable[[Path, Path, Path], None],
    folder: Path,
    clip: Path,
    enough: Callable[[Told], bool],
) -> Told:
    """Run `body`, kill it as soon as `enough` says so, and return what it had been told."""
    counts = folder / "counts"
    counts.write_bytes(bytes(3 * _NUMBER.size))
    seen = _Counters(counts)
    with _victim(body, folder, clip, counts) as process:
        while not enough(_told(seen)):
            if not process.is_alive():
                raise RuntimeError("the victim died before it was killed")
        os.kill(process.pid or 0, 9)
        process.join(DIED_S)
    return _told(seen)


def _told(counts: _Counters) -> Told:
    return Told(counts.frames.value, counts.hits.value, counts.rows.value)


@contextmanager
def _victim(
    body: Callable[[Path, Path, Path], None], folder: Path, clip: Path, counts: Path
) -> Iterator[multiprocessing.Process]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([MODULE, __name__])
    process = context.Process(target=body, args=(folder, clip, counts), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()
