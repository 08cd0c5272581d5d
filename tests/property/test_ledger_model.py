"""Whatever happens to the recording, the ledger tells what the files hold and why the rest is not.

Random walks of recording, breaking off, killing, waiting and changing the mode; then every minute
of the ledger is held against the frames in the files and against the times nobody recorded.
"""

import random
from collections import Counter
from datetime import timedelta

import av
import pytest

from agent.buffer.index import Index, from_micros
from agent.buffer.ledger import CONTINUOUS, EVENTS, PART, Ledger, account, sum_up
from agent.buffer.recorder import Recorder
from agent.buffer.recovery import KILLED, recover
from tests.footage_maker import make_clip
from tests.recording import BOOT, Tape, packets_of

FPS, CLIP_S = 10, 30
WALKS, STEPS = 6, 40
CAUSES = ["camera-closed", "timeout", "frozen", "unreachable"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, fps=FPS, seconds=CLIP_S, size_px=(64, 48))


class Watched(Tape):
    """A tape that can be killed, and notes when it recorded nothing, and why."""

    def __init__(self, folder, chance):
        super().__init__(folder, parts=[PART], observers=[Ledger()])
        self.chance, self.mode = chance, CONTINUOUS
        self.began = self.clock.utc_now()
        self.causes, self.modes = set(), {}

    def watch(self, clip, *, whole=False):
        cause = self.chance.choice(CAUSES)
        began = self.clock.utc_now()
        frames = None if whole else self.chance.randint(1, FPS * CLIP_S)
        self.record(clip, cause=cause, frames=frames)
        self.causes.add(cause)
        self.note_mode(began)

    def be_killed(self, clip):
        began = self.clock.utc_now()
        self.record(clip, cause=None, frames=self.chance.randint(2, FPS * CLIP_S))
        self.note_mode(began)
        self.recorder._file.abandon()
        self.index.close()
        self.start_anew()
        self.causes.add(KILLED)

    def change_mode(self, _clip):
        self.mode = EVENTS if self.mode == CONTINUOUS else CONTINUOUS
        self.index.close()
        self.start_anew()

    def start_anew(self):
        ledger = Ledger(lambda: self.mode)
        self.index = Index(self.folder, [PART])
        recover(self.folder, self.index, BOOT, [ledger])
        self.recorder = Recorder(
            self.folder, self.index, self.retention, self.settings, self.clock, BOOT, [ledger]
        )

    def wait(self, _clip):
        self.clock.pass_s(self.chance.choice([0.5, 5.0, 61.0, 200.0]))

    def note_mode(self, began):
        at = began.replace(second=0, microsecond=0)
        while at <= self.clock.utc_now():
            self.modes.setdefault(at, set()).add(self.mode)
            at += timedelta(minutes=1)

    def frames_by_minute(self):
        """Count the frames in the files by the minute they were taken in."""
        counted = Counter()
        for row in self.segments():
            with av.open(str(self.folder / row["path"])) as container:
                for packet in packets_of(container):
                    offset = timedelta(seconds=float(packet.dts * packet.time_base))
                    at = from_micros(row["start_utc_us"]) + offset
                    counted[at.replace(second=0, microsecond=0)] += 1
        return counted


@pytest.mark.parametrize("walk", range(WALKS))
def test_every_minute_is_as_the_files_say_and_every_loss_has_its_cause(tmp_path, clip, walk):
    chance = random.Random(walk)
    tape = Watched(tmp_path / "camera", chance)
    tape.watch(clip, whole=True)  # the rate is known from the first minute on
    steps = [*[tape.watch] * 5, *[tape.be_killed] * 2, *[tape.wait] * 3, tape.change_mode]
    for _ in range(STEPS):
        chance.choice(steps)(clip)
    tape.watch(clip, whole=True)
    truth = tape.frames_by_minute()
    span = (tape.began, tape.clock.utc_now() + timedelta(minutes=1))
    rows = list(account(tape.folder, *span))
    assert sum(row.stored for row in rows) == sum(truth.values())
    for row in rows:
        assert abs(row.stored - truth[row.at]) <= 2, row  # a frame at the stroke of a minute
        assert row.expected == FPS * 60
        assert row.is_covered or row.causes, row
        assert set(row.causes) <= tape.causes, row
        assert (row.tier == "full") == (truth[row.at] > 0) or row.stored <= 2, row
        if row.mode == EVENTS:
            assert EVENTS in tape.modes[row.at], row
        elif row.stored > 2:
            assert CONTINUOUS in tape.modes.get(row.at, {CONTINUOUS}), row
    told = sum_up(tape.folder, *span)
    assert told.frames_stored == sum(truth.values())
    assert told.covered == sum(row.is_covered for row in rows)
    tape.index.close()
