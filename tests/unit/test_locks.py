"""What is locked stays until its time or a person lets go; locks never take the whole disk."""

from dataclasses import replace
from datetime import timedelta

import pytest

from agent.buffer import locks as locking
from agent.buffer import orders
from agent.buffer.index import from_micros
from agent.buffer.locks import EVIDENCE_FILE, Lock, LockKind, Locks
from agent.buffer.rebuild import open_index
from agent.buffer.timekeeper import Correction
from agent.core.errors import StorageError
from agent.core.lock import FileLock
from agent.messages.locking import LockSpan, Unlock
from agent.settings.model import BufferSettings
from tests.footage_maker import make_clip
from tests.recording import BOOT, Tape

DAY_S = 86_400.0


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return make_clip(path, seconds=10, size_px=(160, 120))


class Locked(Tape):
    """A tape with locks; `capacity` is what they may hold."""

    def __init__(self, folder, **settings):
        super().__init__(folder, **settings)
        self.capacity = 10**9
        self.locks = Locks(folder, self.index, self.settings, self.clock, lambda: self.capacity)

    def lock(self, name, first, last=None, kind=LockKind.EVIDENCE, days=30.0):
        """Lock the segments from number `first` to `last`."""
        rows = self.segments()
        begin, end = rows[first], rows[first if last is None else last]
        now = self.clock.utc_now()
        return self.locks.add(
            Lock(
                lock_id=name,
                kind=kind,
                since=from_micros(begin["start_utc_us"]),
                until=from_micros(end["start_utc_us"] + end["duration_us"]),
                incident_id="2026-0417",
                approver="Kim",
                made_at=now,
                expires_at=now + timedelta(days=days),
            )
        )

    def ids(self):
        return [row["segment_id"] for row in self.segments()]

    def held(self):
        return [row["lock_id"] for row in self.rows("locks") if row["released_utc_us"] is None]

    def told(self):
        return [(row["what"], row["subject"]) for row in self.rows("journal")]


@pytest.fixture
def tape(tmp_path, clip):
    tape = Locked(tmp_path / "camera", retention_days=1.0)
    tape.record(clip)
    yield tape
    tape.index.close()


def test_neither_age_nor_a_full_disk_takes_what_is_locked_and_both_take_it_afterwards(tape):
    tape.lock("a", 1, 2, days=3.0)
    tape.clock.pass_s(2 * DAY_S)
    tape.retention.prune()
    tape.retention.free_some()
    assert tape.ids() == [2, 3]

    tape.clock.pass_s(DAY_S)
    tape.locks.release_due()
    tape.retention.prune()
    assert tape.ids() == []
    assert tape.told() == [("locked", "a"), ("unlocked-expired", "a")]
    assert [row["rule"] for row in tape.rows("deletions")] == ["age"] * 5


def test_a_person_lets_go_and_the_record_of_it_stays(tape):
    tape.lock("a", 0)
    tape.locks.remove("a", "Lee")
    (row,) = tape.rows("locks")
    assert (row["released_why"], row["approver"], row["incident_id"]) == (
        "removed", "Kim", "2026-0417",
    )  # fmt: skip
    assert tape.rows("journal")[-1]["detail"] == "Lee"
    tape.locks.remove("a", "Lee")
    with pytest.raises(StorageError, match="no lock b"):
        tape.locks.remove("b", "Lee")


def test_the_same_order_again_is_the_same_lock(tape):
    first = tape.lock("a", 0)
    tape.clock.pass_s(60.0)
    assert tape.lock("a", 3) == replace(first, since=first.since)
    assert tape.told() == [("locked", "a")]


def test_over_their_share_the_oldest_event_locks_go_first_and_evidence_never(tape):
    sizes = [row["bytes"] for row in tape.segments()]
    tape.capacity = sum(sizes[:3])
    tape.lock("e0", 0, kind=LockKind.EVENT)
    tape.lock("e1", 1, kind=LockKind.EVENT)
    tape.lock("v2", 2)
    assert tape.held() == ["e0", "e1", "v2"]

    tape.lock("v4", 4)
    assert tape.held() in (["e1", "v2", "v4"], ["v2", "v4"])
    assert ("unlocked-share", "e0") in tape.told()

    tape.capacity = sizes[2] + sizes[4]
    tape.locks.release_due()
    assert tape.held() == ["v2", "v4"]


def test_when_evidence_fills_the_share_new_locks_are_refused_and_it_is_said(tape):
    tape.capacity = tape.segments()[0]["bytes"]
    tape.lock("v0", 0)
    for name, kind in (("v1", LockKind.EVIDENCE), ("e1", LockKind.EVENT)):
        with pytest.raises(StorageError) as refused:
            tape.lock(name, 1, kind=kind)
        assert refused.value.code == "lock.share_full"
        assert refused.value.hint
        assert tape.locks.is_full
        assert tape.told()[-1] == ("lock-refused", name)
    assert tape.held() == ["v0"]
    tape.locks.remove("v0", "Lee")
    tape.locks.release_due()
    assert not tape.locks.is_full


def test_a_lock_without_sense_is_refused(tape):
    with pytest.raises(StorageError, match="already have expired"):
        tape.lock("a", 0, days=-1.0)
    with pytest.raises(StorageError, match="end after it begins"):
        tape.lock("a", 3, 1)
    assert tape.rows("locks") == []


def test_a_segment_under_two_locks_counts_once(tape):
    tape.lock("a", 0, 1)
    tape.lock("b", 1, 2)
    with tape.index.reading() as db:
        held = locking.held_bytes(db)
    assert held == sum(row["bytes"] for row in tape.segments()[:3])


def test_a_hit_locks_what_lies_around_it_and_on_as_long_as_it_lasts(tmp_path, clip):
    tape = Locked(tmp_path / "camera", event_pre_s=3.0, event_post_s=2.0, event_lock_days=2.0)
    tape.record(clip, cause=None)
    at = tape.recorder.moment(tape.clock.mono_s - 5.0)
    tape.locks.hit_began("hit-1", "yard", at)
    (row,) = tape.rows("locks")
    assert (row["kind"], row["approver"], row["incident_id"]) == ("event", "rule/yard", "hit-1")
    assert row["from_utc_us"] == at.utc_us - 3_000_000
    assert row["to_utc_us"] == at.utc_us + 2_000_000

    tape.locks.hit_goes_on("yard", at.utc_us + 7_000_000, ended=False)
    tape.locks.hit_goes_on("yard", at.utc_us + 20_000_000, ended=True)
    tape.locks.hit_goes_on("yard", at.utc_us + 90_000_000, ended=False)
    (row,) = tape.rows("locks")
    assert row["to_utc_us"] == at.utc_us + 22_000_000
    tape.recorder.run_ended("lost")
    tape.retention.free_some()
    assert tape.ids() == [2, 3, 4, 5]  # from three seconds before the hit on
    tape.index.close()


def test_a_lock_of_a_time_not_proven_moves_with_its_video(tape):
    tape.locks.hit_began("hit-1", "yard", tape.recorder.moment(tape.clock.mono_s))
    (before,) = tape.rows("locks")
    tape.index.correct(BOOT, Correction(tape.clock.mono_s + 1, 86_400.0), tape.clock.utc_now())
    (after,) = tape.rows("locks")
    for end in ("from_utc_us", "to_utc_us", "expires_utc_us"):
        assert after[end] - before[end] == 86_400_000_000


def test_an_order_with_the_monotonic_time_finds_the_video_before_and_after_a_correction(tape):
    mono_s, day_s = tape.clock.mono_s - 5.0, 86_400.0
    wrong = tape.clock.utc_now() - timedelta(days=400)  # as a clock without a battery tells it
    for number in (1, 2):
        order = span(
            tape,
            lock_id=f"bell-{number}",
            since=wrong - timedelta(seconds=5),
            until=wrong,
            expires_at=wrong + timedelta(days=30),
            since_mono_s=mono_s,
        )
        reply = orders.carry_out(tape.locks, order, tape.clock, tape.recorder.time)
        assert reply.code == ""
        if number == 1:
            correction = Correction(tape.clock.mono_s + 1, day_s)
            tape.recorder.time._keeper._offset_s += day_s
            tape.index.correct(BOOT, correction, tape.clock.utc_now())
    one, two = tape.rows("locks")
    assert one["from_utc_us"] == two["from_utc_us"]
    assert one["expires_utc_us"] == two["expires_utc_us"]
    begin = tape.segments()[0]
    asked_us = round((mono_s * 1e6) - begin["start_mono_us"])
    assert one["from_utc_us"] - begin["start_utc_us"] == pytest.approx(asked_us, abs=1000)


def test_event_only_mode_keeps_what_lies_around_hits_and_drops_the_rest(tmp_path, clip):
    tape = Locked(
        tmp_path / "camera",
        mode="events",
        events_keep_s=60.0,
        event_pre_s=2.0,
        event_post_s=1.0,
        event_lock_days=1.0,
        retention_days=5.0,
    )
    tape.record(clip)
    middle = tape.recorder.moment(tape.clock.mono_s - 5.0)
    tape.locks.hit_began("hit-1", "yard", middle)
    tape.retention.prune()
    assert tape.ids() == [1, 2, 3, 4, 5]
    tape.clock.pass_s(70.0)
    tape.retention.prune()
    assert tape.ids() == [2, 3]
    assert {row["rule"] for row in tape.rows("deletions")} == {"no-event"}

    tape.clock.pass_s(2 * DAY_S)  # the lock has expired; the event is not yet too old
    tape.locks.release_due()
    tape.retention.prune()
    assert tape.ids() == [2, 3]
    tape.clock.pass_s(4 * DAY_S)
    tape.retention.prune()
    assert tape.ids() == []
    tape.index.close()


def test_a_hit_that_lasts_while_its_time_is_set_back_is_kept_to_its_end(tmp_path, clip):
    tape = Locked(tmp_path / "camera", event_lock_days=1.0)
    tape.record(clip, cause=None)
    at = tape.recorder.moment(tape.clock.mono_s)
    tape.locks.hit_began("hit-1", "yard", at)
    tape.index.correct(BOOT, Correction(tape.clock.mono_s + 1, -DAY_S), tape.clock.utc_now())
    later_us = at.utc_us - round(DAY_S * 1e6) + 60_000_000  # a minute on, by the time as it is now
    tape.locks.hit_goes_on("yard", later_us, ended=False)
    (lock,) = tape.rows("locks")
    assert lock["from_utc_us"] < at.utc_us - round(DAY_S * 1e6)
    assert later_us < lock["to_utc_us"] < at.utc_us
    tape.recorder.run_ended("lost")
    tape.index.close()


def test_evidence_locks_outlive_a_damaged_index(tape):
    tape.lock("v1", 1, 2)
    assert (tape.folder / EVIDENCE_FILE).exists()
    tape.index.close()
    (tape.folder / "index.db").write_bytes(b"damaged" * 1000)
    tape.index = open_index(tape.folder, (), tape.clock)
    with tape.index.reading() as db:
        (lock,) = locking.all_locks(db)
    assert (lock.lock_id, lock.approver, lock.released_at) == ("v1", "Kim", None)


def test_a_lock_whose_copy_the_disk_refuses_holds_and_is_copied_later(tape):
    copy = tape.folder / EVIDENCE_FILE
    copy.mkdir()  # nothing can take its place
    tape.lock("v1", 1, 2)
    assert tape.held() == ["v1"]
    copy.rmdir()
    tape.locks.save_evidence()
    assert b"v1" in copy.read_bytes()
    tape.index.close()


def test_a_re_dated_evidence_lock_outlives_it_where_its_video_belongs(tape):
    at = tape.recorder.moment(tape.clock.mono_s - 5.0)
    order = span(tape, since=from_micros(at.utc_us), since_mono_s=at.mono_us / 1e6)
    assert not orders.carry_out(tape.locks, order, tape.clock, tape.recorder.time).code
    (before,) = tape.rows("locks")
    tape.index.correct(BOOT, Correction(tape.clock.mono_s + 1, 86_400.0), tape.clock.utc_now())
    tape.locks.save_evidence()
    tape.index.close()
    (tape.folder / "index.db").unlink()
    tape.index = open_index(tape.folder, (), tape.clock)
    (after,) = tape.rows("locks")
    assert after["from_utc_us"] - before["from_utc_us"] == 86_400_000_000
    tape.index.close()


def span(tape, **changes):
    now = tape.clock.utc_now()
    fields = {
        "request_id": "r1",
        "lock_id": "r1",
        "since": now - timedelta(seconds=5),
        "until": now,
        "incident_id": "case",
        "approver": "Kim",
        "expires_at": now + timedelta(days=1),
    }
    return LockSpan(**(fields | changes))


def test_without_a_worker_an_order_is_carried_out_in_its_place(tmp_path, clip):
    tape = Locked(tmp_path / "camera")
    tape.record(clip)
    tape.index.close()
    settings = BufferSettings()
    orders.give(tape.folder, span(tape), settings, tape.clock)
    with pytest.raises(StorageError) as refused:
        orders.give(
            tape.folder, Unlock(request_id="x", lock_id="x", by="Lee"), settings, tape.clock
        )
    assert refused.value.code == "lock.unknown"
    tape.index = open_index(tape.folder, (), tape.clock)
    assert tape.held() == ["r1"]
    assert not (tape.folder / orders.ORDERS).exists()
    tape.index.close()


def test_beside_a_worker_the_order_is_a_file_that_the_worker_answers(tape):
    class WorkerAnswers:
        """The order's giver waits by this clock: the worker looks in meanwhile."""

        def __init__(self, clock):
            self._clock = clock

        def monotonic_s(self):
            orders.carry_out_files(tape.folder, tape.locks, self._clock)
            return self._clock.monotonic_s()

        def utc_now(self):
            return self._clock.utc_now()

    with FileLock(tape.folder / orders.WORKER_LOCK, tape.clock):
        clock = WorkerAnswers(tape.clock)
        tape.clock.monotonic_s = iter(range(1000, 10**6)).__next__
        orders.give(tape.folder, span(tape), tape.settings, clock)
        assert tape.held() == ["r1"]
        late = span(tape, lock_id="r2", expires_at=tape.clock.utc_now())
        with pytest.raises(StorageError, match="already have expired"):
            orders.give(tape.folder, late, tape.settings, clock)
        (tape.folder / orders.ORDERS / "bad.order").write_bytes(b"{}")
        assert orders.carry_out_files(tape.folder, tape.locks, tape.clock) == 1
        assert b"lock.bad_order" in (tape.folder / orders.ORDERS / "bad.answer").read_bytes()
