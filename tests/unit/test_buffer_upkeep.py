"""Old video is thinned, copies are made, deletions signed, writes counted, and nothing disturbs."""

import os
import threading
from contextlib import closing
from datetime import datetime, timedelta

import av
import pytest
from msgspec import structs

from agent.buffer import journal, reading
from agent.buffer.budget import WriteBudget, days, default_limit
from agent.buffer.check import compare
from agent.buffer.due import Room, State, due
from agent.buffer.index import INDEX_FILE, from_micros, micros
from agent.buffer.locks import Lock, LockKind, Locks
from agent.buffer.report import doomed
from agent.buffer.retention import Retention, state_of, usage_of_all
from agent.buffer.sparing import mode_now
from agent.buffer.stage import Stage
from agent.buffer.tiers import KEY_FRAMES, Thinner
from agent.buffer.timekeeper import BELIEVE_AFTER_S
from agent.buffer.upkeep import BUDGET_EVERY_S, LOOK_EVERY_S, Upkeep
from agent.contract.events import TimeQuality
from agent.core.clock import boot_id
from agent.core.sqlite import open_reader
from agent.evidence.key_store import open_box_key
from hardware.interface import Medium
from tests.fake_clock import FakeClock
from tests.footage_maker import make_clip
from tests.recording import Tape, frames_in, packets_of

DAY_S = 86_400.0


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, seconds=10, size_px=(160, 120))


@pytest.fixture
def tape(tmp_path, clip):
    tape = Tape(tmp_path / "cameras" / "gate")
    tape.record(clip)
    yield tape
    tape.index.close()


def locks_of(tape):
    return Locks(tape.folder, tape.index, tape.settings, tape.clock, lambda: 10**9)


def upkeep_of(tape, **more):
    return Upkeep(
        tape.folder, tape.index, tape.retention, locks_of(tape), tape.settings, tape.clock, **more
    )


def lock_all(tape):
    now = tape.clock.utc_now()
    day = timedelta(days=1)
    locks_of(tape).add(
        Lock("a", LockKind.EVIDENCE, now - day, now + day, "case", "Kim", now, now + 9 * day)
    )


# Tiers


def test_thinned_video_keeps_its_key_frames_at_their_times(tape):
    tape.clock.pass_s(2 * DAY_S)
    before = tape.segments()
    with av.open(str(tape.folder / before[0]["path"])) as container:
        keys = [packet.pts * packet.time_base for packet in packets_of(container)
                if packet.is_keyframe]  # fmt: skip
    thinner = Thinner(tape.folder, tape.index, after_days=1.0)
    while thinner.thin_next(tape.clock.utc_now()):
        pass

    after = tape.segments()
    for old, new in zip(before, after, strict=True):
        assert new["tier"] == KEY_FRAMES
        assert new["frames"] == frames_in(tape.folder / new["path"]) == 2
        assert new["bytes"] == (tape.folder / new["path"]).stat().st_size < old["bytes"]
        for same in ("segment_id", "run_id", "start_utc_us", "duration_us"):
            assert new[same] == old[same]
    with av.open(str(tape.folder / after[0]["path"])) as container:
        packets = [(p.pts * p.time_base, p.duration * p.time_base) for p in packets_of(container)]
    assert [at for at, _ in packets] == keys
    assert sum(length for _, length in packets) == 2  # seconds: nothing is cut short
    assert tape.video_files() == sorted(tape.folder / row["path"] for row in after)
    assert [row["what"] for row in tape.rows("journal")] == ["thinned"] * 5
    assert compare(tape.index._db, tape.folder).is_clean


def test_what_is_young_or_locked_is_not_thinned(tape):
    thinner = Thinner(tape.folder, tape.index, after_days=1.0)
    assert not thinner.thin_next(tape.clock.utc_now())
    lock_all(tape)
    tape.clock.pass_s(2 * DAY_S)
    assert not thinner.thin_next(tape.clock.utc_now())


def test_what_can_not_be_read_is_not_thinned_and_stops_nothing(tape):
    tape.clock.pass_s(2 * DAY_S)
    (tape.folder / tape.segments()[0]["path"]).write_bytes(b"no video")
    thinner = Thinner(tape.folder, tape.index, after_days=1.0)
    while thinner.thin_next(tape.clock.utc_now()):
        pass
    assert [row["tier"] for row in tape.segments()] == ["unreadable"] + [KEY_FRAMES] * 4


def test_what_the_disk_refuses_for_a_while_is_thinned_once_it_gives_it(tape):
    tape.clock.pass_s(2 * DAY_S)
    path = tape.folder / tape.segments()[0]["path"]
    content = path.read_bytes()
    path.unlink()
    path.mkdir()  # can be opened, and not be read
    thinner = Thinner(tape.folder, tape.index, after_days=1.0)
    while thinner.thin_next(tape.clock.utc_now()):
        pass
    assert [row["tier"] for row in tape.segments()] == ["full"] + [KEY_FRAMES] * 4
    path.rmdir()
    path.write_bytes(content)
    tape.clock.pass_s(3601)
    while thinner.thin_next(tape.clock.utc_now()):
        pass
    assert {row["tier"] for row in tape.segments()} == {KEY_FRAMES}


# Journal


def test_every_deletion_is_in_a_signed_record_linked_to_the_one_before(tape, tmp_path):
    key = open_box_key(tmp_path)

    def sign(body):
        return key.public.fingerprint, key.sign(body)

    tape.retention.delete(tape_due(tape, 2, "age"))
    first = journal.sign_deletions(tape.index, "gate", sign, tape.clock.utc_now())
    tape.retention.delete(tape_due(tape, 1, "share"))
    second = journal.sign_deletions(tape.index, "gate", sign, tape.clock.utc_now())
    assert journal.sign_deletions(tape.index, "gate", sign, tape.clock.utc_now()) is None

    assert (first.segments, first.rules, first.camera) == (2, {"age": 2}, "gate")
    assert (second.number, second.rules) == (2, {"share": 1})
    assert first.last_until <= second.first_at
    db = tape.index._db
    assert list(journal.verify_purges(db, key.public.verifies)) == []

    db.execute("UPDATE deletions SET rule = 'age' WHERE deletion_id = 3")
    assert list(journal.verify_purges(db, key.public.verifies)) == [
        "deletions of purge record 2 were changed"
    ]
    db.execute("UPDATE purges SET body = CAST(replace(body, 'gate', 'yard') AS BLOB)")
    assert "purge record 1 is not signed by this box" in list(
        journal.verify_purges(db, key.public.verifies)
    )
    db.execute("DELETE FROM purges WHERE purge_id = 1")
    assert "purge record 1 is missing" in list(journal.verify_purges(db, key.public.verifies))


def tape_due(tape, count, rule):
    return [
        journal.Doomed(
            row["segment_id"], row["path"], row["bytes"], row["start_utc_us"],
            row["duration_us"], rule,
        )
        for row in tape.segments()[:count]
    ]  # fmt: skip


# Time and shares


class Unsure(FakeClock):
    def quality(self):
        return TimeQuality.UNSYNCED


def test_a_clock_that_knows_nothing_deletes_nothing_by_age(tmp_path, clip):
    clock = Unsure()
    tape = Tape(tmp_path / "camera", clock, retention_days=1.0)
    tape.record(clip)
    clock.pass_s(400 * DAY_S)
    assert tape.retention.prune() == 0
    tape.index.close()


def test_a_clock_that_knows_nothing_thins_nothing(tmp_path, clip):
    clock = Unsure()
    tape = Tape(tmp_path / "camera", clock, thin_after_days=1.0)
    tape.record(clip)
    clock.pass_s(400 * DAY_S)
    upkeep = upkeep_of(tape)
    for _ in range(20):
        upkeep.turn()
        clock.pass_s(1.0)
    assert {row["tier"] for row in tape.segments()} == {"full"}
    tape.index.close()


@pytest.mark.parametrize("thin_after_days", [None, 1.0])
def test_a_wall_clock_that_jumps_ahead_costs_no_video_and_no_lock(tmp_path, clip, thin_after_days):
    """Recordings don't follow it until it has proven itself; what is old is told by them."""
    tape = Tape(
        tmp_path / "a", boot=boot_id(), retention_days=30.0, thin_after_days=thin_after_days
    )
    tape.record(clip)
    lock_all(tape)
    before, upkeep = tape.segments(), upkeep_of(tape)
    tape.clock._at += timedelta(days=400)
    for _ in range(200):
        upkeep.turn()
        tape.clock.pass_s(1.0)
    assert tape.segments() == before
    assert [row["released_utc_us"] for row in tape.rows("locks")] == [None]
    assert doomed(tape.folder, tape.settings, tape.clock, 1) == []

    tape.clock._at -= timedelta(days=400)
    tape.clock.pass_s(31 * DAY_S)
    for _ in range(100):
        upkeep.turn()
        tape.clock.pass_s(1.0)
    assert tape.segments() == []
    tape.index.close()


def passes(upkeep, clock, seconds):
    for _ in range(seconds):
        upkeep.turn()
        clock.pass_s(1.0)


def test_a_dead_cameras_video_goes_by_the_time_of_those_that_live(tmp_path, clip):
    """It recorded in the last boot only; another one does now."""
    clock = FakeClock()
    dead, alive = (
        Tape(tmp_path / name, clock, boot=boot, retention_days=30.0)
        for name, boot in (("dead", "the last"), ("alive", boot_id()))
    )
    dead.record(clip)
    lock_all(dead)
    alive.record(clip)
    before = dead.segments()
    clock._at += timedelta(days=400)
    upkeep = upkeep_of(dead)  # a worker that starts just then
    passes(upkeep, clock, 100)
    assert dead.segments() == before
    assert doomed(dead.folder, dead.settings, clock, 2) == []

    clock._at -= timedelta(days=400)
    clock.pass_s(30 * DAY_S - 200.0)
    passes(upkeep, clock, 50)
    assert dead.segments() == before
    passes(upkeep, clock, 750)
    assert dead.segments() == []
    for tape in (dead, alive):
        tape.index.close()


def test_a_camera_that_died_before_the_time_was_proven_goes_by_those_that_know_it(tmp_path, clip):
    early, clock = Unsure(FakeClock().utc_now() - timedelta(days=9)), FakeClock()
    dead = Tape(tmp_path / "dead", early, boot=boot_id())
    dead.record(clip)
    assert {row["time_quality"] for row in dead.segments()} == {"unproven"}
    retention = Retention(dead.folder, dead.index, dead.settings, clock)
    assert clock.utc_now() - retention.now() > timedelta(days=8)
    alive = Tape(tmp_path / "alive", clock, boot=boot_id())
    alive.record(clip)
    assert abs(clock.utc_now() - retention.now()) < timedelta(seconds=1)
    for tape in (dead, alive):
        tape.index.close()


def test_where_nothing_was_recorded_since_the_boot_a_jump_is_not_believed_at_once(tmp_path, clip):
    clock = FakeClock()
    dead = Tape(tmp_path / "dead", clock, boot="the last", retention_days=30.0)
    dead.record(clip)
    lock_all(dead)
    locks = Locks(
        dead.folder, dead.index, dead.settings, clock, lambda: 10**9, now=dead.retention.now
    )
    upkeep, before = Upkeep(
        dead.folder, dead.index, dead.retention, locks, dead.settings, clock
    ), dead.segments()  # fmt: skip
    clock._at += timedelta(days=400)
    passes(upkeep, clock, 200)
    assert dead.segments() == before
    assert [row["released_utc_us"] for row in dead.rows("locks")] == [None]
    passes(upkeep, clock, int(BELIEVE_AFTER_S) + 100)  # it stays so: it is right
    assert dead.segments() == []
    dead.index.close()


def test_video_stamped_by_a_clock_out_of_all_time_is_as_old_as_what_came_after_it(tmp_path, clip):
    tape = Tape(tmp_path / "camera", retention_days=2.0)
    tape.record(clip)
    tape.index._db.execute(
        "UPDATE segments SET start_utc_us = ?, time_quality = 'unproven'",
        (micros(datetime.fromisoformat("1970-01-02T00:00:00+00:00")),),
    )
    tape.clock.pass_s(3600.0)
    assert tape.retention.prune() == 0
    tape.record(clip)
    assert tape.retention.prune() == 0
    tape.clock.pass_s(2 * DAY_S + 1.0)
    assert tape.retention.prune() == 10
    tape.index.close()


def test_on_a_low_disk_the_camera_over_its_fair_share_gives(tmp_path, clip):
    clock = FakeClock()
    big, small = (Tape(tmp_path / "cameras" / name, clock) for name in ("big", "small"))
    for _ in range(3):
        big.record(clip)
    small.record(clip)
    segments, total = usage_of_all(tmp_path / "cameras")
    assert segments == 20
    assert total == sum(row["bytes"] for tape in (big, small) for row in tape.segments())
    part = total // 8
    state = State(clock.utc_now(), Room(part, 2 * part, 3 * part, total, 2), Room(9, 0, 0, 0, 2))
    for tape, gives in ((big, True), (small, False)):
        with tape.index.reading() as db:
            doomed = due(db, tape.settings, state, 100)
        assert bool(doomed) == gives
        if gives:
            assert {segment.rule for segment in doomed} == {"disk-low"}
            assert part + sum(segment.size_bytes for segment in doomed) >= 3 * part
            ids = [row["segment_id"] for row in tape.segments()]
            assert [segment.segment_id for segment in doomed] == ids[: len(doomed)]
        tape.index.close()


def test_few_inodes_left_are_a_reason_too(tape):
    state = State(tape.clock.utc_now(), Room(9, 0, 0, 0, 1), Room(2, 4, 5, 5, 1))
    with tape.index.reading() as db:
        doomed = due(db, tape.settings, state, 100)
    assert [segment.rule for segment in doomed] == ["inodes-low"] * 3
    facts = os.statvfs(tape.folder)
    now = state_of(tape.folder, tape.settings, tape.clock.utc_now(), 1)
    assert now.room_inodes.low <= facts.f_files // 20


# Write budget


def test_what_is_written_is_added_up_by_day_and_over_the_budget_is_said(tape):
    flushes = iter((0, 5, 7)).__next__
    budget = WriteBudget(tape.index, 0, flushes)
    block = tape.folder / "block"
    with block.open("wb") as file:
        file.write(os.urandom(1 << 20))
        file.flush()
        os.fsync(file.fileno())
    today = budget.note(tape.clock.utc_now())
    assert today.flushes == 5
    if today.size_bytes:  # a folder in memory counts as none
        assert today.size_bytes >= 1 << 20
        assert budget.is_over
    tape.clock.pass_s(DAY_S)
    budget.note(tape.clock.utc_now())
    with tape.index.reading() as db:
        assert [day.flushes for day in days(db)] == [5, 2]


def test_the_budget_is_told_between_two_notes_and_is_whole_again_the_next_day(tape, monkeypatch):
    written = tape.folder / "io"
    monkeypatch.setattr("agent.buffer.budget._IO", written)
    written.write_text("write_bytes: 1000\n")
    budget = WriteBudget(tape.index, 500, lambda: 0)
    seen = []
    for total in (1000, 1400, 1501):
        written.write_text(f"write_bytes: {total}\n")
        budget.look(tape.clock.utc_now())
        seen.append(budget.is_over)
    budget.note(tape.clock.utc_now())
    assert [*seen, budget.is_over] == [False, False, True, True]
    tape.clock.pass_s(DAY_S)
    budget.look(tape.clock.utc_now())
    assert not budget.is_over


@pytest.mark.parametrize(("told", "is_over"), [(None, True), (0, False), (10**15, False)])
def test_unless_told_otherwise_a_disk_may_be_written_once_a_day(tape, monkeypatch, told, is_over):
    written = tape.folder / "io"
    monkeypatch.setattr("agent.buffer.budget._IO", written)
    written.write_text("write_bytes: 0\n")
    tape.settings = structs.replace(tape.settings, write_budget_bytes_per_day=told)
    upkeep = upkeep_of(tape)
    facts = os.statvfs(tape.folder)
    written.write_text(f"write_bytes: {facts.f_blocks * facts.f_frsize + 1}\n")
    upkeep.turn()
    assert ("storage.write_budget" in upkeep.faults) is is_over


@pytest.mark.parametrize(
    ("medium", "share"),
    [(None, 1.0), (Medium.CARD, 1.0), (Medium.SSD, 0.5), (Medium.ROTATING, None)],
)
def test_the_budget_is_that_of_the_disks_kind(tape, medium, share):
    facts = os.statvfs(tape.folder)
    size_bytes = facts.f_blocks * facts.f_frsize
    limit = default_limit(tape.folder, medium)
    assert limit == (None if share is None else int(size_bytes * share))


def test_a_disk_over_its_budget_is_spared_until_the_next_day_and_says_so(tape, monkeypatch):
    written = tape.folder / "io"
    monkeypatch.setattr("agent.buffer.budget._IO", written)
    written.write_text("write_bytes: 0\n")
    tape.settings = structs.replace(
        tape.settings, write_budget_bytes_per_day=1000, over_budget="events"
    )
    stage = Stage(tape.folder, tape.folder / "memory", tape.index, 0, tape.clock)
    upkeep = upkeep_of(tape, stage=stage)

    def look():
        tape.clock.pass_s(LOOK_EVERY_S)
        upkeep.turn()
        return upkeep.faults, mode_now(tape.settings, stage), stage.base

    assert look() == ((), "continuous", "video")
    written.write_text("write_bytes: 1001\n")
    spared = (("storage.spared",), "events", "staged")
    assert look() == spared
    kept = tape.segments()
    assert look() == spared
    assert tape.segments() == kept  # what lies on the disk goes no sooner for it

    tape.clock.pass_s(BUDGET_EVERY_S)
    upkeep.turn()
    stage = Stage(tape.folder, tape.folder / "memory", tape.index, 0, tape.clock)
    upkeep = upkeep_of(tape, stage=stage)  # the worker has started anew: it is still today
    assert look() == spared
    tape.clock.pass_s(DAY_S)
    assert look() == ((), "continuous", "video")


def test_without_room_in_memory_or_the_policy_it_is_told_and_all_is_recorded(tape, monkeypatch):
    written = tape.folder / "io"
    monkeypatch.setattr("agent.buffer.budget._IO", written)
    written.write_text("write_bytes: 0\n")
    for policy, with_stage in (("events", False), ("tell", True)):
        tape.settings = structs.replace(
            tape.settings, write_budget_bytes_per_day=1, over_budget=policy
        )
        memory = tape.folder / "memory"
        stage = Stage(tape.folder, memory, tape.index, 0, tape.clock) if with_stage else None
        upkeep = upkeep_of(tape, stage=stage)
        written.write_text(f"write_bytes: {int(written.read_text().split()[1]) + 2}\n")
        upkeep.turn()
        assert upkeep.faults == ("storage.write_budget",)
        assert mode_now(tape.settings, stage) == "continuous"


# The thread


def test_the_upkeep_does_its_chores_and_tells_what_it_found(tape, tmp_path):
    key = open_box_key(tmp_path)
    upkeep = upkeep_of(tape, signer=lambda body: (key.public.fingerprint, key.sign(body)))
    (tape.folder / tape.segments()[0]["path"]).unlink()
    for _ in range(4):
        upkeep.turn()
        tape.clock.pass_s(1.0)
    assert upkeep.faults == ("storage.index_repaired",)
    assert [row["rule"] for row in tape.rows("deletions")] == ["file-missing"]
    for _ in range(3700):
        upkeep.turn()
        tape.clock.pass_s(1.0)
    assert upkeep.faults == ()  # an hour later all is well
    assert len(tape.rows("purges")) == 1


def test_an_old_video_is_gone_within_ten_minutes_of_its_time(tmp_path, clip):
    tape = Tape(tmp_path / "camera", retention_days=1.0)
    tape.record(clip)
    upkeep = upkeep_of(tape)
    tape.clock.pass_s(DAY_S - 5.0)
    upkeep.turn()
    assert tape.segments()
    for _ in range(60):
        tape.clock.pass_s(1.0)
        upkeep.turn()
    assert tape.segments() == []
    tape.index.close()


def test_the_thread_ends_when_told(tape):
    stop = threading.Event()
    thread = threading.Thread(target=upkeep_of(tape).run, args=(stop,))
    thread.start()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_a_reader_sees_all_of_it_beside_the_writer(tape):
    with closing(open_reader(tape.folder / INDEX_FILE)) as db:
        assert db.execute("SELECT segments FROM usage").fetchone()[0] == 5
    start = from_micros(tape.segments()[0]["start_utc_us"])
    assert len(reading.segments(tape.folder, start, tape.clock.utc_now())) == 5
