"""What a power cut left: a mounted copy of the disk against the notes of what was promised."""

import asyncio
import hashlib
import json
import sqlite3
from bisect import bisect_right
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import av
from av.error import FFmpegError

from agent.buffer.recovery import recover
from tests.faults.crash_lab.block_log import BlockLog
from tests.faults.crash_lab.box_workload import CAMERA, DATABASE, OutboxUser
from tests.recording import Tape

NEXT_BOOT = "the boot after"


@dataclass(frozen=True, slots=True)
class Promises:
    """What the box knew to be stored when so many flushes were done, and what it had been given."""

    rows: dict[int, str]
    watermark: int
    hits: set[str]
    closed: dict[str, int]
    files: dict[str, str]
    parts: set[str]
    handed_frames: int


class Notes:
    """The workload's notes, asked by the number of flushes."""

    def __init__(self, path: Path, log_folder: Path) -> None:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        self.log = BlockLog(log_folder, end=lines[-1]["at"])
        assert (lines[0]["kind"], lines[-1]["kind"]) == ("begin", "cut")
        self.first_flush = self.log.flushes_before(lines[0]["at"])
        self._lines = lines
        self._done = [self.log.flushes_before(line["at"]) for line in lines]

    def at(self, flushes: int) -> Promises:
        """Return what must survive a cut between flush `flushes` and the next."""
        told = self._lines[: bisect_right(self._done, flushes)]
        return Promises(
            rows={n["seq"]: n["name"] for n in told if n["kind"] == "row"},
            watermark=max((n["upto"] for n in told if n["kind"] == "watermark"), default=0),
            hits={n["hit_id"] for n in told if n["kind"] == "hit"},
            closed={n["path"]: n["frames"] for n in told if n["kind"] == "closed"},
            files={n["name"]: n["sha256"] for n in told if n["kind"] == "file"},
            parts={n["name"] for n in told if n["kind"] == "part"},
            handed_frames=max((n["frames"] for n in told if n["kind"] == "handed"), default=0),
        )


@dataclass(slots=True)
class Verdict:
    """`losses` counts by kind what was promised and is not there; empty is the only good one."""

    losses: Counter[str] = field(default_factory=Counter)
    lost_frames: int = 0
    details: list[str] = field(default_factory=list)

    def lost(self, kind: str, detail: str) -> None:
        self.losses[kind] += 1
        if len(self.details) < 10:
            self.details.append(f"{kind}: {detail}")


def judge(folder: Path, promised: Promises, clip: Path) -> Verdict:
    """Look at what is there, then take it into use as the box does at its next start."""
    verdict = Verdict()
    _databases(folder, promised, verdict)
    if not verdict.losses["database"]:
        _video(folder / CAMERA, promised, clip, verdict)
        asyncio.run(_outbox(folder / DATABASE, promised, verdict))
    return verdict


def _databases(folder: Path, promised: Promises, verdict: Verdict) -> None:
    for path in (folder / DATABASE, folder / CAMERA / "index.db"):
        if not path.exists():
            if promised.handed_frames:
                verdict.lost("database", f"{path.name} is not there")
            continue
        try:
            with closing(sqlite3.connect(path)) as db:
                said = db.execute("PRAGMA integrity_check").fetchone()[0]
        except sqlite3.DatabaseError as error:
            said = str(error)
        if said != "ok":
            verdict.lost("database", f"{path.name}: {said}")


def _video(folder: Path, promised: Promises, clip: Path, verdict: Verdict) -> None:
    tape = Tape(folder, boot=NEXT_BOOT)
    try:
        _segments(tape, promised, verdict)
        kept_hits = {row["hit_id"] for row in tape.rows("hits")}
        for hit_id in promised.hits - kept_hits:
            verdict.lost("hit", hit_id)

        recover(folder, tape.index, NEXT_BOOT)
        agree(tape, verdict)
        kept = sum(row["frames"] for row in tape.segments())
        verdict.lost_frames = max(0, promised.handed_frames - kept)

        tape.clock.pass_s(3600.0)  # and the box goes on recording
        tape.record(clip, frames=15)
        agree(tape, verdict)
        if sum(row["frames"] for row in tape.segments()) != kept + 15:
            verdict.lost("start", "the next run is not recorded")
    finally:
        tape.index.close()


def _segments(tape: Tape, promised: Promises, verdict: Verdict) -> None:
    rows = {row["path"]: row for row in tape.segments()}
    for path, frames in promised.closed.items():
        if path not in rows or rows[path]["frames"] < frames:
            verdict.lost("segment row", path)
    for path, row in rows.items():
        if row["state"] == "closed" and (shown := _shown(tape.folder / path)) < row["frames"]:
            verdict.lost("segment", f"{path} shows {shown} of {row['frames']} frames")


def agree(tape: Tape, verdict: Verdict) -> None:
    """Compare index and files both ways: every file known, closed, and as long as it says."""
    rows = tape.segments()
    if tape.video_files() != sorted(tape.folder / row["path"] for row in rows):
        verdict.lost("agreement", "the index and the folder name different files")
    for row in rows:
        shown = _shown(tape.folder / row["path"])
        if (row["state"], shown) != ("closed", row["frames"]):
            verdict.lost("agreement", f"{row} shows {shown} frames")


async def _outbox(path: Path, promised: Promises, verdict: Verdict) -> None:
    user = OutboxUser(path)
    await user.start()
    try:
        stored = user.names()
        for seq, name in promised.rows.items():
            if stored.get(seq) != name:
                verdict.lost("outbox row", f"{seq} is {stored.get(seq)}, was {name}")
        if sorted(stored) != list(range(1, len(stored) + 1)):
            verdict.lost("outbox order", "the numbers have holes")
        marks = await user.outbox.watermarks()
        if max(marks.values()) < promised.watermark:
            verdict.lost("watermark", f"{marks} for {promised.watermark}")
        for name, sha256 in promised.files.items():
            await _upload(user, name, sha256, name in promised.parts, verdict)
        if await user.append("after") <= max(stored, default=0):
            verdict.lost("start", "the outbox gave a number twice")
    finally:
        await user.db.stop()


async def _upload(
    user: OutboxUser, name: str, sha256: str, is_sent: bool, verdict: Verdict
) -> None:
    """A queued file is whole, and what the store has of it is not sent again."""
    job = await user.uploads.find(name)
    if job is None:
        verdict.lost("upload", name)
        return
    path = user.uploads.folder / job.file.path.name
    if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        verdict.lost("upload", f"{name} is not whole")
    if is_sent and job.missing:
        verdict.lost("upload", f"{name} forgot that it is sent")


def _shown(path: Path) -> int:
    """Return how many pictures a player gets out of a file; 0 when it does not open."""
    try:
        with av.open(str(path)) as container:
            return sum(1 for _ in container.decode(video=0))
    except (FFmpegError, OSError, IndexError):
        return 0
