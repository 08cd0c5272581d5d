"""An incident session that was kept goes on as long as it may, and never comes back once over."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from agent.commands import incident_store
from agent.commands.incident_store import Kept
from agent.contract.commands import Actor
from agent.contract.events import TimeQuality
from agent.contract.incidents import IncidentCall
from agent.core.ids import new_ulid
from tests.grant_desk import Clock


@pytest.fixture
def clock():
    return Clock()


def kept(clock, lasts_s=100.0, left_s=80.0):
    now = clock.utc_now()
    at = int(now.timestamp())
    call = IncidentCall(
        id=new_ulid(now), seq=3, site="site-1", incident="2026-1", kind="fire", reason="fire",
        audience="119", by=Actor(user="kim"), iss="center", iat=at, exp=at + int(lasts_s),
        lat=37.5, lon=127.0,
    )  # fmt: skip
    until_s = clock.monotonic_s() + left_s
    return Kept(call=call, boot="one", until_mono_s=until_s, left_s=left_s, began_at=now)


def test_in_the_same_boot_the_monotonic_clock_counts_whatever_the_wall_clock_says(clock):
    one = kept(clock)
    clock.wall_jump_s = -3600.0
    assert one.until_s("one", clock) == one.until_mono_s


@pytest.mark.parametrize("quality", [TimeQuality.NTP, TimeQuality.RTC])
def test_after_a_reboot_a_clock_that_was_kept_says_how_much_is_left(clock, quality):
    one = kept(clock)
    clock.trusted = quality
    clock.wall_jump_s, clock.mono_jump_s = 70.0, -5000.0
    left_s = one.until_s("two", clock) - clock.monotonic_s()
    assert left_s == pytest.approx(30.0, abs=2.0)


def test_after_a_reboot_without_a_clock_it_lasts_no_longer_than_was_left(clock):
    one = kept(clock)
    clock.trusted = TimeQuality.UNSYNCED
    clock.wall_jump_s = -timedelta(days=300).total_seconds()
    assert one.until_s("two", clock) - clock.monotonic_s() == pytest.approx(80.0, abs=1.0)


def test_what_is_over_stays_known_and_what_goes_on_is_found(clock, tmp_path):
    with closing(sqlite3.connect(tmp_path / "box.db")) as db:
        db.row_factory = sqlite3.Row
        for statement in incident_store.PART.migrations:
            db.execute(statement)
        first, second = kept(clock), kept(clock)
        for one in (first, second):
            incident_store.keep(db, one)
        incident_store.end(db, first.call.id, 4)
        assert [one.call for one in incident_store.holding(db)] == [second.call]
        assert incident_store.over(db) == {first.call.id: 4}
        for number in range(300):
            incident_store.end(db, f"other-{number}", 1)
        assert len(incident_store.over(db)) <= 257
        assert incident_store.holding(db)
