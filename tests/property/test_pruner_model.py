"""10^5 random steps of recording, locking, crashing and pruning: nothing goes that must not go.

The real index, retention and locks on real files in memory; only the disk's room is made up. After
every pruning what is left is compared with a model that knows all that was ever recorded.
"""

import random
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from agent.buffer.due import SUB_TIER, Room, State, due
from agent.buffer.index import MAIN, SUB, Index, Moment, RunStart, micros
from agent.buffer.locks import Lock, LockKind, Locks
from agent.buffer.retention import Retention
from agent.buffer.timekeeper import RecordedTime
from agent.core.errors import StorageError
from agent.settings.model import BufferSettings
from tests.fake_clock import FakeClock

WALKS, STEPS = 10, 10_000
SEGMENT_S = 10.0
SHM = Path("/dev/shm")
BOOT = "boot"


@dataclass
class Segment:
    path: str
    start_us: int
    end_us: int
    size: int
    stream: str = MAIN


class Pole:
    """The real buffer of one camera, half of them with both streams, beside a model of it."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder, self.chance, self.clock = folder, chance, FakeClock()
        self.settings = BufferSettings(
            retention_days=chance.choice([0.01, 0.05, 1.0]),
            max_bytes=chance.choice([None, None, 40_000]),
            min_free_bytes=20_000,
            free_again_bytes=30_000,
            mode=chance.choice(["continuous", "continuous", "events"]),
            events_keep_s=300.0,
            event_lock_days=chance.choice([0.0, 0.005, 0.02]),
            lock_max_share=0.25,
            sub_after_days=chance.choice([None, 0.005, 0.02]),
        )
        self.records_sub = chance.random() < 0.5
        self.index = Index(folder)
        self.retention = Retention(folder, self.index, self.settings, self.clock, state=self.state)
        self.capacity = 25_000
        self.locks = Locks(folder, self.index, self.settings, self.clock, lambda: self.capacity)
        self.disk_bytes, self.ballast, self.neighbours = 200_000, 50_000, 0
        self.model: dict[str, Segment] = {}
        self.recorded = 0
        self.runs = {
            stream: self.index.begin_run(RunStart(stream, "h264", 1, 1, self.moment()))
            for stream in (MAIN, SUB)
        }
        self.hits = 0

    def moment(self) -> Moment:
        return Moment(
            micros(self.clock.utc_now()),
            round(self.clock.mono_s * 1e6),
            BOOT,
            RecordedTime.SYNCED,
        )

    def state(self) -> State:
        used = sum(segment.size for segment in self.files().values())
        free = max(0, self.disk_bytes - self.ballast - self.neighbours - used)
        low, high = self.settings.min_free_bytes, self.settings.free_again_bytes
        return State(
            self.clock.utc_now(),
            Room(free, low, high, used + self.neighbours, 2),
            Room(1000, 0, 0, 0, 2),
        )

    def files(self) -> dict[str, Segment]:
        return {p: s for p, s in self.model.items() if (self.folder / p).exists()}

    # Steps

    def record(self) -> None:
        size = self.chance.randint(500, 1500)
        self.store(MAIN, size)
        if self.records_sub and self.chance.random() < 0.9:  # else it fails
            self.store(SUB, size // 8)
        self.clock.pass_s(SEGMENT_S)

    def store(self, stream: str, size: int) -> None:
        at = self.clock.utc_now()
        path = f"video/{at:%Y-%m-%d}/{at:%H}/{stream}-000001-{at:%H%M%S}{self.recorded:08d}.mp4"
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(b"x")  # its size is the model's affair
        start_us = micros(at)
        with self.index.transaction() as db:
            db.execute(
                "INSERT INTO segments (run_id, stream, path, state, start_utc_us, duration_us,"
                " frames, bytes, time_quality) VALUES (?,?,?,'closed',?,?,100,?,'synced')",
                (self.runs[stream], stream, path, start_us, round(SEGMENT_S * 1e6), size),
            )
        end_us = start_us + round(SEGMENT_S * 1e6)
        self.model[path] = Segment(path, start_us, end_us, size, stream)
        self.recorded += 1

    def pass_time(self) -> None:
        self.clock.pass_s(self.chance.choice([1.0, 60.0, 600.0]))

    def hit(self) -> None:
        self.hits += 1
        with suppress(StorageError):
            self.locks.hit_began(f"hit-{self.hits}", "rule", self.moment())

    def hit_goes_on(self) -> None:
        ended = self.chance.random() < 0.5
        self.locks.hit_goes_on("rule", self.moment().utc_us, ended=ended)

    def lock(self) -> None:
        since = self.clock.utc_now() - timedelta(seconds=self.chance.randint(0, 1200))
        lock = Lock(
            lock_id=f"lock-{self.chance.random()}",
            kind=LockKind.EVIDENCE,
            since=since,
            until=since + timedelta(seconds=self.chance.randint(1, 60)),
            incident_id="case",
            approver="somebody",
            made_at=self.clock.utc_now(),
            expires_at=self.clock.utc_now() + timedelta(seconds=self.chance.randint(1, 3600)),
        )
        with suppress(StorageError):
            self.locks.add(lock)

    def unlock(self) -> None:
        held = self.held()
        if held:
            self.locks.remove(self.chance.choice(held)[0], "somebody")

    def release(self) -> None:
        self.locks.release_due()

    def ballast_changes(self) -> None:
        self.ballast = self.chance.randint(0, 150_000)
        self.neighbours = self.chance.randint(0, 40_000)

    def crash_in_the_middle(self) -> None:
        """Files are gone, their rows are not."""
        with self.index.reading() as db:
            doomed = due(db, self.settings, self.state(), 5)
        for segment in doomed:
            (self.folder / segment.path).unlink(missing_ok=True)

    def free_some(self) -> None:
        before, held = dict(self.model), self.held()
        gone = self.retention.free_some()
        self.settle_with_the_model(before, held)
        assert gone <= 6

    def prune(self) -> None:
        before, held, start = dict(self.model), self.held(), self.state()
        self.retention.prune()
        self.settle_with_the_model(before, held)
        self.check_that_what_was_due_is_gone(held, start)

    # What must hold

    def held(self) -> list[tuple[str, int, int]]:
        with self.index.reading() as db:
            return [
                tuple(row)
                for row in db.execute(
                    "SELECT lock_id, from_utc_us, to_utc_us FROM locks"
                    " WHERE released_utc_us IS NULL"
                )
            ]

    def settle_with_the_model(self, before: dict[str, Segment], held) -> None:
        with self.index.reading() as db:
            rows = {row["path"]: row["bytes"] for row in db.execute("SELECT * FROM segments")}
            usage = db.execute("SELECT segments, bytes FROM usage").fetchone()
            gone = [
                (row["path"], row["rule"])
                for row in db.execute(
                    "SELECT * FROM deletions WHERE deletion_id > ? ORDER BY deletion_id",
                    (self.recorded - len(before),),
                )
            ]
        assert set(rows) == {path for path in before if path not in dict(gone)}
        assert len(dict(gone)) == len(gone)  # each once
        for path, rule in gone:
            segment = before[path]
            assert not covered(segment, held), (rule, segment)
            assert not (self.folder / path).exists()
            self.check_rule(rule, segment, before)
        self.model = {path: before[path] for path in rows}
        assert (usage["segments"], usage["bytes"]) == (len(rows), sum(rows.values()))
        others = ("no-event", SUB_TIER)
        by_space = [before[path].start_us for path, rule in gone if rule not in others]
        assert by_space == sorted(by_space)  # the oldest first

    def check_rule(self, rule: str, segment: Segment, before: dict[str, Segment]) -> None:
        now_us = micros(self.clock.utc_now())
        if rule == "age":
            assert segment.end_us < now_us - self.settings.retention_days * 86_400e6
        elif rule == SUB_TIER:
            assert segment.stream == MAIN
            assert segment.end_us < now_us - self.settings.sub_after_days * 86_400e6
            assert segment.start_us in starts_of_sub(before)
        elif rule == "no-event":
            assert self.settings.mode == "events"
            assert segment.end_us < now_us - 300e6
        else:
            assert rule in {"share", "disk-low", "disk-full"}
            assert rule != "share" or self.settings.max_bytes

    def check_that_what_was_due_is_gone(self, held, start: State) -> None:
        now_us = micros(self.clock.utc_now())
        left = [s for s in self.model.values() if not covered(s, held)]
        assert all(s.end_us >= now_us - self.settings.retention_days * 86_400e6 for s in left)
        if self.settings.sub_after_days is not None:
            horizon_us = now_us - self.settings.sub_after_days * 86_400e6
            of_sub = starts_of_sub(self.model)
            old = [s for s in left if s.stream == MAIN and s.end_us < horizon_us]
            assert not [s for s in old if s.start_us in of_sub]
        if not left:
            return
        used = sum(segment.size for segment in self.model.values())
        limit = self.settings.max_bytes
        assert limit is None or used <= limit
        end = self.state()
        if start.room_bytes.free < start.room_bytes.low:
            assert end.room_bytes.free >= end.room_bytes.low // 2
            at_share = used <= end.room_bytes.fair_share
            assert end.room_bytes.free >= end.room_bytes.high or at_share


def starts_of_sub(model: dict[str, Segment]) -> set[int]:
    """Return when the sub stream's segments begin: each beside one of the main stream."""
    return {segment.start_us for segment in model.values() if segment.stream == SUB}


def covered(segment: Segment, held) -> bool:
    return any(begin < segment.end_us and end > segment.start_us for _, begin, end in held)


@pytest.mark.slow
@pytest.mark.skipif(not SHM.is_dir(), reason="a real disk would take minutes")
@pytest.mark.parametrize("walk", range(WALKS))
def test_whatever_happens_only_what_is_due_goes_and_all_of_it(walk):
    chance = random.Random(walk)
    with tempfile.TemporaryDirectory(dir=SHM) as folder:
        camera = Path(folder) / "camera"  # alone: its neighbours tell the time, too
        camera.mkdir()
        pole = Pole(camera, chance)
        steps = [
            *[pole.record] * 50,
            *[pole.pass_time] * 20,
            *[pole.hit] * 5,
            *[pole.hit_goes_on] * 8,
            *[pole.lock] * 3,
            *[pole.unlock] * 2,
            *[pole.release] * 2,
            *[pole.ballast_changes] * 3,
            pole.crash_in_the_middle,
            *[pole.free_some] * 1,
            *[pole.prune] * 5,
        ]
        for _ in range(STEPS):
            chance.choice(steps)()
        pole.prune()
        pole.index.close()
        assert pole.recorded > STEPS // 3
