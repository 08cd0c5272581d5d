"""What waits too long for its center is given up, told as a gap; alarms and the audit never are."""

from contextlib import closing
from datetime import timedelta

import msgspec
import pytest

from agent.contract.acks import Ack
from agent.contract.events import Gap, StreamName, TimeQuality
from agent.core.sqlite import open_writer
from agent.outbox import eviction
from agent.outbox.ages import MaxAge
from agent.outbox.store import PART, Store
from tests.fake_clock import FakeClock

A, E, T, U = StreamName.ALARM, StreamName.EVENT, StreamName.TELEMETRY, StreamName.AUDIT
DAY_S = 86_400.0
AGES = MaxAge(telemetry=2.0, updates=3.0, events=5.0)


class Clock(FakeClock):
    told = TimeQuality.NTP

    def quality(self):
        return self.told

    def step(self, days):
        """Put the clock right, or wrong."""
        self._at += timedelta(days=days)


class Box:
    def __init__(self, connection):
        self.connection, self.clock = connection, Clock()
        self.reboot()

    def reboot(self):
        self.store = Store(self.clock, 1, max_bytes=1_000_000, max_age=AGES)
        self.store.open(self.connection)

    def queue(self, stream, phase="new"):
        return self.store.append(
            self.connection, stream, lambda seq: b'{"n":%d}' % seq, event_id="e", phase=phase
        )

    def days(self, count):
        """Let days pass, with a record an hour in the audit, as in any box."""
        for _ in range(round(count * 24)):
            self.clock.pass_s(3600)
            self.queue(U)

    def waiting(self, stream):
        """Return the numbers that are there, and the gaps as (first, last, why)."""
        numbers, gaps = [], []
        for record in self.store.read(self.connection, stream, 0, limit=5000, max_bytes=1 << 24):
            if b"gap" in record.body:
                gap = msgspec.json.decode(record.body, type=Gap)
                gaps.append((gap.seq, gap.until_seq, gap.why))
            else:
                numbers.append(record.seq)
        return numbers, gaps


@pytest.fixture
def box(tmp_path):
    with closing(open_writer(tmp_path / "box.db", PART.migrations)) as connection:
        yield Box(connection)


def test_each_class_waits_as_long_as_it_may(box):
    for _ in range(3):
        for stream in (A, E, T):
            box.queue(stream)
    box.queue(E, phase="update")
    box.days(1.5)
    assert box.waiting(T) == ([1, 2, 3], [])
    box.days(1)
    assert box.waiting(T) == ([], [(1, 3, "age")])
    assert box.waiting(E) == ([1, 2, 3, 4], [])
    box.days(1)
    assert box.waiting(E) == ([1, 2, 3], [(4, 4, "age")])
    box.days(2)
    assert box.waiting(E) == ([], [(1, 4, "age")])
    assert box.waiting(A) == ([1, 2, 3], [])
    assert len(box.waiting(U)[0]) == round(5.5 * 24)
    assert box.store.counts(box.connection)[E].evicted_total == 4


def test_what_came_later_waits_on_and_the_center_steps_over_the_gap(box):
    box.queue(T)
    box.days(1.5)
    box.queue(T)
    box.days(1)
    assert box.waiting(T) == ([2], [(1, 1, "age")])
    acks = {T: Ack(upto=2, epoch=box.store.epoch)}
    assert box.store.acknowledge(box.connection, acks) == {T: 2}
    assert box.store.counts(box.connection)[T].waiting == 0


def test_what_had_no_room_and_what_was_too_old_are_told_apart(box):
    for number in range(8):
        box.queue(E, phase="update" if number % 2 else "new")
    row_bytes = len(b'{"n":1}') + eviction.ROW_BYTES
    eviction._give_up(box.connection, E, "phase = 'update'", 2 * row_bytes)
    eviction._give_up(box.connection, E, "1", 2 * row_bytes)
    assert box.waiting(E) == ([5, 6, 7, 8], [(1, 4, "quota")])
    box.days(3.2)  # the updates are too old now
    assert box.waiting(E) == ([5, 7], [(1, 4, "quota"), (6, 6, "age"), (8, 8, "age")])
    eviction._give_up(box.connection, E, "1", row_bytes)
    assert box.waiting(E)[1] == [(1, 5, "quota"), (6, 6, "age"), (8, 8, "age")]
    box.store.acknowledge(box.connection, {E: Ack(upto=6, epoch=box.store.epoch)})
    assert box.waiting(E) == ([7], [(1, 6, "expired"), (8, 8, "age")])
    box.days(5)
    assert box.waiting(E)[1] == [(1, 6, "expired"), (7, 8, "age")]


def test_an_older_box_s_gaps_are_still_told(tmp_path):
    older = PART.migrations[:2]
    with closing(open_writer(tmp_path / "box.db", older)) as connection:
        connection.execute(
            "UPDATE outbox_heads SET next_seq = 9, acked = 2, aged_upto = 5 WHERE stream = 'e'"
        )
    with closing(open_writer(tmp_path / "box.db", PART.migrations)) as connection:
        gaps = Box(connection).waiting(E)[1]
    assert gaps == [(1, 2, "expired"), (3, 5, "age"), (6, 8, "quota")]


def test_nothing_ages_while_the_clock_is_not_set(box):
    box.clock.told = TimeQuality.UNSYNCED
    box.queue(T)
    box.days(30)
    box.clock.told = TimeQuality.NTP
    box.days(1)
    assert box.waiting(T) == ([1], [])
    box.days(1.5)
    assert box.waiting(T) == ([], [(1, 1, "age")])


def test_age_counts_on_over_a_reboot(box):
    box.queue(T)
    box.days(1)
    box.clock.mono_s = 5.0
    box.reboot()
    box.days(1.2)
    assert box.waiting(T) == ([], [(1, 1, "age")])


def test_a_center_that_is_there_loses_nothing_to_age(box):
    for _ in range(10):
        seq = box.queue(E)
        box.store.acknowledge(box.connection, {E: Ack(upto=seq, epoch=box.store.epoch)})
        box.days(1)
    counts = box.store.counts(box.connection)[E]
    assert (counts.evicted_total, counts.waiting) == (0, 0)
    left = box.connection.execute("SELECT count(*) FROM outbox_ages WHERE stream = 'e'")
    assert left.fetchone()[0] == 0


def test_a_clock_chip_that_is_ahead_costs_nothing(box):
    box.queue(T)
    box.days(0.5)
    box.clock.told = TimeQuality.RTC
    box.clock.step(400)
    box.reboot()
    for _ in range(2):
        box.queue(T)
        box.days(0.5)
    assert box.waiting(T) == ([1, 2, 3], [])


@pytest.mark.parametrize("wrong_by_days", [400, -400])
def test_a_clock_chip_that_is_put_right_costs_nothing(box, wrong_by_days):
    box.clock.told = TimeQuality.RTC
    box.clock.step(wrong_by_days)
    box.queue(T)
    box.days(0.5)
    box.clock.told = TimeQuality.NTP
    box.clock.step(-wrong_by_days)
    box.days(1)
    assert box.waiting(T) == ([1], [])
    box.days(1.5)
    assert box.waiting(T) == ([], [(1, 1, "age")])


def test_a_network_time_that_goes_back_costs_nothing_and_age_goes_on_from_there(box):
    box.clock.step(400)
    box.queue(T)
    box.days(0.2)
    box.clock.step(-400)
    box.days(1)
    assert box.waiting(T) == ([1], [])
    box.queue(T)
    box.days(2.5)
    assert box.waiting(T) == ([], [(1, 2, "age")])


def test_an_outage_without_network_time_ages_but_is_given_up_only_with_it(box):
    box.queue(T)
    box.days(0.2)
    box.clock.told = TimeQuality.RTC
    box.queue(T)
    box.days(3)
    assert box.waiting(T) == ([1, 2], [])
    box.clock.told = TimeQuality.NTP
    box.days(0.1)
    assert box.waiting(T) == ([], [(1, 2, "age")])


def test_what_grew_old_together_is_given_up_in_parts(box):
    count = 2 * eviction.AGED_AT_ONCE + 5
    for _ in range(count):
        box.queue(T)
    box.days(1)
    box.clock.pass_s(1.5 * DAY_S)
    left = []
    for _ in range(4):
        box.queue(U)
        left.append(box.store.counts(box.connection)[T].waiting)
    assert left == [count - eviction.AGED_AT_ONCE, 5, 0, 0]
    assert box.waiting(T) == ([], [(1, count, "age")])
