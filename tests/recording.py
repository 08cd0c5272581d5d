"""Makes recordings as a camera's worker does, fed from a small clip instead of a camera."""

from pathlib import Path

import av

from agent.buffer.index import Index
from agent.buffer.recorder import Recorder
from agent.buffer.retention import Retention
from agent.settings.model import BufferSettings
from tests.fake_clock import FakeClock

BOOT = "boot-1"


class Tape:
    """One camera's folder with its index, retention and recorder."""

    def __init__(
        self, folder: Path, clock=None, *, boot: str = BOOT, parts=(), observers=(), **settings
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.clock = folder, clock or FakeClock()
        self.settings = BufferSettings(**{"segment_s": 2.0, "min_free_bytes": 0} | settings)
        self.index = Index(folder, parts)
        self.retention = Retention(folder, self.index, self.settings, self.clock)
        self.recorder = Recorder(
            folder, self.index, self.retention, self.settings, self.clock, boot, observers
        )

    def rows(self, table: str) -> list[dict]:
        query = f"SELECT * FROM {table} ORDER BY rowid"
        return [dict(row) for row in self.index._db.execute(query)]

    def segments(self) -> list[dict]:
        return self.rows("segments")

    def video_files(self) -> list[Path]:
        return sorted((self.folder / "video").rglob("*.mp4"))

    def record(self, clip: Path, *, cause: str | None = "lost", frames: int | None = None) -> int:
        """Feed a clip as one run; time passes as the media does. Return how many frames it had."""
        fed = 0
        with av.open(str(clip)) as container:
            stream = container.streams.video[0]
            self.recorder.run_started(stream, "h264", (stream.width, stream.height))
            for packet in packets_of(container):
                if fed == frames:
                    break
                self.recorder.packet(packet, self.clock.monotonic_s())
                fed += 1
                self.clock.pass_s(1 / float(stream.average_rate))
            if cause is not None:
                self.recorder.run_ended(cause)
        return fed


def packets_of(container):
    """Yield the dated packets of an open clip."""
    for packet in container.demux(video=0):
        if packet.dts is not None and packet.size:
            yield packet


def frames_in(path: Path) -> int:
    """Decode a whole file and return how many pictures it shows."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))
