"""One stream, two workers: whenever the one leaves and the other follows, no frame is stored twice,
and none is missing but behind a gap that says so."""

import os
import tempfile
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.app.main_sink import MainSink
from agent.app.succession import HeldStream
from agent.buffer.recovery import recover
from agent.ingest.source import StreamFacts
from tests.fake_clock import FakeClock
from tests.footage_maker import make_clip
from tests.recorded_frames import recorded, skips
from tests.recording import BOOT, Tape, packets_of

FPS, SECONDS = 10, 9
FRAMES = FPS * SECONDS
SHM = Path("/dev/shm") if Path("/dev/shm").is_dir() else None


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A clip whose frames are all different."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, fps=FPS, seconds=SECONDS, size_px=(8 * FRAMES + 48, 144))


class Line:
    """The supervisor's line: key frames told on it reach the predecessor."""

    def __init__(self):
        self.predecessor = None

    def tell_key_frame(self, key):
        self.predecessor.successor_holds(key)


class Connection:
    """One session's view of the stream: its own media times, from a key frame on."""

    def __init__(self, clip, sink, first_dts):
        self.container = av.open(str(clip))
        self.stream = self.container.streams.video[0]
        self.packets = list(packets_of(self.container))
        self.sink, self.first_dts, self.is_on = sink, first_dts, False
        self.facts = StreamFacts(
            "h264", self.stream.width, self.stream.height, self.stream.time_base
        )

    def take(self, number, now_s):
        packet = self.packets[number]
        if not self.is_on:
            if not packet.is_keyframe:
                return
            self.is_on = True
            self.sink.run_started(self.stream, self.facts)
        packet.dts, packet.pts = packet.dts + self.first_dts, packet.pts + self.first_dts
        self.sink.packet(packet, now_s)

    def end(self, cause):
        if self.is_on:
            self.is_on = False
            self.sink.run_ended(cause)


class Change:
    """Two workers at one camera's folder, in the order of time."""

    def __init__(self, folder, clip):
        self.clock, self.folder, self.line = FakeClock(), folder, Line()
        self.tape = Tape(folder, self.clock)
        self.first_sink = MainSink(self.tape.recorder, os.getppid())
        self.line.predecessor = self.first_sink
        self.held = HeldStream(self.line)
        self.first = Connection(clip, self.first_sink, 7)
        self.second = Connection(clip, self.held, 90_000)
        self.has_followed = False

    def follow(self):
        """The first worker has ended; the second has the lock, and opens the folder."""
        self.has_followed = True
        self.first.end("recycled")
        self.tape.index.close()
        self.tape = Tape(self.folder, self.clock)
        seam = self.tape.index.seam(BOOT)
        recover(self.folder, self.tape.index, BOOT, goes_on=seam is not None)
        self.held.pass_on(
            MainSink(self.tape.recorder, os.getppid()), seam, self.clock.monotonic_s()
        )

    def close(self):
        self.second.end("stopped")
        self.tape.index.close()
        for connection in (self.first, self.second):
            connection.container.close()


PLANS = st.fixed_dictionaries(
    {
        "joins": st.integers(0, 50),
        "late": st.floats(0.0, 0.3),
        "leaves": st.integers(5, 60),
        "follows_after": st.integers(0, 25),
        "gives_up_after": st.integers(5, 60),
        "lost": st.none() | st.tuples(st.integers(0, 80), st.integers(1, 15)),
    }
)


def arrivals(plan):
    """Return (when, who, number) of every frame at either worker, in the order of time."""
    lost = range(plan["lost"][0], sum(plan["lost"])) if plan["lost"] else range(0)
    ours = [(n / FPS, "first", n) for n in range(FRAMES)]
    theirs = [
        (n / FPS + plan["late"], "lost" if n in lost else "second", n)
        for n in range(plan["joins"], FRAMES)
    ]
    return sorted(ours + theirs)


@settings(max_examples=25, deadline=None)
@given(plan=PLANS)
def test_every_frame_once_or_behind_a_gap(clip, plan):
    with tempfile.TemporaryDirectory(dir=SHM) as name:
        change = Change(Path(name), clip)
        began_s, left_at = change.clock.monotonic_s(), None
        for at_s, who, number in arrivals(plan):
            change.clock.pass_s(max(0.0, began_s + at_s - change.clock.monotonic_s()))
            now_s = change.clock.monotonic_s()
            if who == "second":
                change.second.take(number, now_s)
            elif who == "lost":
                change.second.end("lost")
            elif not change.has_followed:
                if number == plan["leaves"]:
                    change.first_sink.leave()
                change.first.take(number, now_s)
                if change.first_sink.has_left or number > plan["leaves"] + plan["gives_up_after"]:
                    left_at = number if left_at is None else left_at
                if left_at is not None and number >= left_at + plan["follows_after"]:
                    change.follow()
        is_seamless = change.first_sink.has_left and plan["lost"] is None and change.has_followed
        gaps = change.tape.rows("gaps")
        change.close()
        numbers = recorded(Path(name), clip)
        missing = [skip for skip in skips(numbers, 10 * FRAMES) if skip]
        assert all(skip < FRAMES for skip in missing), "a frame was stored twice"
        assert len(missing) <= len(gaps), (missing, gaps)
        if is_seamless:
            assert (missing, gaps) == ([], [])
