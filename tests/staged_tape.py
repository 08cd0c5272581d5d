"""A tape in event-only mode: segments wait in memory until an event's span touches them."""

import shutil
from datetime import timedelta
from pathlib import Path

from agent.buffer.index import Index, from_micros
from agent.buffer.locks import Lock, LockKind, Locks
from agent.buffer.recorder import Recorder
from agent.buffer.recovery import recover
from agent.buffer.stage import STAGED, Stage
from tests.recording import BOOT, Tape

ROOM_BYTES = 10**9


class StagedTape(Tape):
    """Opened as a worker opens its folder: what a crash left is put in order first."""

    def __init__(self, folder: Path, memory: Path, clock=None, limit_bytes: int = ROOM_BYTES):
        super().__init__(folder, clock, mode="events")
        self.memory = memory
        self.stage = Stage(folder, memory, self.index, limit_bytes, self.clock)
        recover(folder, self.index, BOOT)
        self.recorder = Recorder(
            folder,
            self.index,
            self.retention,
            self.settings,
            self.clock,
            BOOT,
            base=lambda: self.stage.base,
        )
        self.locks = Locks(folder, self.index, self.settings, self.clock, lambda: ROOM_BYTES)

    def event(self, name: str, since_us: int, until_us: int) -> None:
        """Note an event, as a rule's hit does."""
        now = self.clock.utc_now()
        self.locks.add(
            Lock(
                lock_id=name,
                kind=LockKind.EVENT,
                since=from_micros(since_us),
                until=from_micros(until_us),
                incident_id=name,
                approver="rule/yard",
                made_at=now,
                expires_at=now + timedelta(days=7),
            )
        )

    def staged(self) -> list[dict]:
        return [row for row in self.segments() if row["path"].startswith(STAGED)]

    def lose_power(self) -> None:
        """What was in memory is gone."""
        shutil.rmtree(self.memory)

    def check(self) -> None:
        """Rows and files agree, and no frame is on record twice."""
        rows = [row for row in self.segments() if row["state"] == "closed"]
        for row in rows:
            assert (self.folder / row["path"]).stat().st_size == row["bytes"], row
        on_disk = {file.relative_to(self.folder).as_posix() for file in self.video_files()}
        assert on_disk == {row["path"] for row in rows if row["path"].startswith("video/")}
        names = [row["path"].partition("/")[2] for row in rows]
        assert len(names) == len(set(names))


def reopened(tape: StagedTape) -> StagedTape:
    """Open the folder again, as the next worker does."""
    Index.close(tape.index)
    return StagedTape(tape.folder, tape.memory, tape.clock, tape.stage._limit_bytes)
