"""A sparing box: alarms always go, what is held back is counted, and storms end by themselves."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from agent.contract.events import TimeQuality
from agent.core.db import Database
from agent.settings.model import DataSettings
from agent.uplink import economy
from agent.uplink.economy import Economy, Mode
from agent.uplink.storm import MOST_S, Storm
from tests.spine import A, E

LIMIT = 1_000_000
NOW = datetime(2026, 11, 30, 23, 59, tzinfo=UTC)


class Clock:
    now_s, utc, good = 1000.0, NOW, TimeQuality.NTP

    def monotonic_s(self):
        return self.now_s

    def utc_now(self):
        return self.utc

    def quality(self):
        return self.good


class Stage:
    """An economy whose line and queue are set by hand; `look` is one round of it."""

    def __init__(self, db, *, is_lte=True):
        self.clock, self.carried, self.waiting, self.is_sending = Clock(), 0, 0, True
        self.changes, self.is_lte = 0, is_lte
        self.economy = Economy(
            self.clock,
            db,
            DataSettings(monthly_bytes=LIMIT),
            is_lte=lambda: self.is_lte,
            carried=lambda: self.carried,
            waiting=self.queue,
            is_sending=lambda: self.is_sending,
            changed=self.changed,
        )

    def changed(self):
        self.changes += 1

    async def queue(self):
        return self.waiting

    async def look(self, carried=0, waiting=0):
        self.carried += carried
        self.waiting = waiting
        self.clock.now_s += 5
        await self.economy._look()
        return self.economy.mode


@pytest.fixture
async def db(tmp_path):
    db = Database(tmp_path / "box.db", [economy.PART])
    await db.start()
    yield db
    await db.stop()


def with_picture(**data):
    return msgspec.json.encode({"id": "x", "data": {"picture": {"jpeg": "/9j/"}, **data}})


async def test_the_more_of_the_month_is_used_the_less_goes_but_records_always_do(db):
    stage = Stage(db)
    box, alarm = stage.economy, with_picture(kind="intrusion")
    await box.start()
    assert await stage.look(carried=600_000) is Mode.NORMAL
    assert box.lighten(E, alarm) == box.lighten(A, alarm) == alarm
    assert (box.stretch, box.holds_files) == (1, False)
    assert await stage.look(carried=150_000) is Mode.SPARING
    assert box.lighten(A, alarm) == alarm
    event = msgspec.json.decode(box.lighten(E, with_picture(kind="camera-lost")))
    assert event == {"id": "x", "data": {"kind": "camera-lost", "picture_held": "sparing"}}
    assert (box.stretch, box.holds_files) == (4, True)
    assert await stage.look(carried=300_000) is Mode.SPENT
    assert "picture" not in msgspec.json.decode(box.lighten(A, alarm))["data"]
    box.held_samples(11)
    told = box.sample()
    assert (told.used_bytes, told.limit_bytes, told.mode) == (1_050_000, LIMIT, "spent")
    assert (told.pictures_held, told.samples_held) == (2, 11)
    assert stage.changes == 2


async def test_the_counters_survive_a_restart_and_begin_anew_with_the_month(db):
    stage = Stage(db)
    await stage.economy.start()
    await stage.look(carried=800_000)
    again = Stage(db)  # after a kill: what was saved by then
    await again.economy.start()
    assert await again.look() is Mode.SPARING
    again.clock.utc += timedelta(minutes=2)
    assert await again.look() is Mode.NORMAL
    assert (again.economy.sample().month, again.economy.sample().used_bytes) == ("2026-12", 0)
    again.clock.utc -= timedelta(minutes=2)
    assert await again.look() is Mode.SPARING


async def test_a_clock_that_is_not_set_begins_no_month(db):
    stage = Stage(db)
    await stage.economy.start()
    await stage.look(carried=800_000)
    again = Stage(db)
    again.clock.utc, again.clock.good = datetime(1970, 1, 1, tzinfo=UTC), TimeQuality.UNSYNCED
    await again.economy.start()
    assert await again.look(carried=10) is Mode.SPARING
    assert again.economy.sample().month == "2026-11"


async def test_a_wired_line_is_not_counted(db):
    stage = Stage(db, is_lte=False)
    await stage.economy.start()
    assert await stage.look(carried=10 * LIMIT) is Mode.NORMAL
    assert stage.economy.sample() is None


async def test_a_storm_the_center_names_ends_at_its_time(db):
    stage = Stage(db, is_lte=False)
    await stage.economy.start()
    stage.economy.told(NOW + timedelta(seconds=60))
    assert stage.economy.mode is Mode.STORM
    assert "picture" not in msgspec.json.decode(stage.economy.lighten(A, with_picture()))["data"]
    assert not stage.economy.holds_files
    assert stage.economy.sample().mode == "storm"
    stage.clock.now_s += 60
    assert await stage.look() is Mode.NORMAL
    assert stage.changes == 2


async def test_a_queue_that_grows_although_it_is_sent_is_a_storm(db):
    stage = Stage(db)
    await stage.economy.start()
    for waiting in (300, 400, 500):
        mode = await stage.look(waiting=waiting)
    assert mode is Mode.STORM
    for _ in range(12):
        mode = await stage.look(waiting=400)
    assert mode is Mode.NORMAL


async def test_days_of_records_that_are_being_sent_are_no_storm(db):
    stage = Stage(db)
    await stage.economy.start()
    for waiting in (30_000, 29_000, 28_000, 27_000):
        assert await stage.look(waiting=waiting) is Mode.NORMAL
    stage.is_sending = False
    for waiting in (300, 400, 500, 600):
        assert await stage.look(waiting=waiting) is Mode.NORMAL


def test_no_word_of_the_center_holds_for_ever():
    storm = Storm()
    storm.told(NOW + timedelta(days=99), NOW, 0.0, sure=True)
    assert storm.is_on(MOST_S - 1)
    assert not storm.is_on(MOST_S + 1)
    storm.told(NOW - timedelta(days=99), NOW, 0.0, sure=False)  # which clock is wrong?
    assert storm.is_on(1.0)
    assert not storm.is_on(MOST_S)
    storm.told(None, NOW, 0.0, sure=True)
    assert not storm.is_on(1.0)
