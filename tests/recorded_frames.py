"""Which frames of a looped clip a recording holds, told by the bytes of their slices."""

import contextlib
import itertools
import sqlite3
from pathlib import Path

import av

from agent.evidence.frames import length_bytes, nal_units

_SLICES = range(1, 6)


def frames_of(file: Path) -> list[bytes]:
    """Return the slices of each H.264 frame of a file, in the order they are stored."""
    with av.open(str(file)) as container:
        stream = container.streams.video[0]
        size = length_bytes("h264", bytes(stream.codec_context.extradata or b""))
        return [
            b"".join(u for u in nal_units(bytes(packet), size) if u[0] & 31 in _SLICES)
            for packet in container.demux(stream)
            if packet.size
        ]


def recorded(folder: Path, clip: Path) -> list[int]:
    """Return the numbers, in the clip, of all stored frames of a camera, oldest first."""
    frames = frames_of(clip)
    numbers = {frame: number for number, frame in enumerate(frames)}
    assert len(numbers) == len(frames), "the clip's frames must differ"
    with contextlib.closing(sqlite3.connect(f"file:{folder}/index.db?mode=ro", uri=True)) as db:
        files = db.execute("SELECT path FROM segments WHERE state='closed' ORDER BY start_utc_us")
        return [numbers[frame] for (path,) in files for frame in frames_of(folder / path)]


def skips(numbers: list[int], length: int) -> list[int]:
    """Return by how much each frame misses being the one after the last (in a loop)."""
    pairs = itertools.pairwise(numbers)
    return [skip for one, two in pairs if (skip := (two - one - 1) % length)]
