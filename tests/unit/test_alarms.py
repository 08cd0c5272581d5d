"""Many hits become few incidents, nothing is silenced unsaid, and a verdict can be taken back."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from agent.app.alarm_watch import AlarmWatch
from agent.contract.events import CapSeverity, Grade, Region, Source, StreamName
from agent.core.db import Database
from agent.detect.manifest import load_manifest
from agent.events import meter, nuisance, shadow
from agent.messages.vision import HitState, TrackedObject
from agent.settings.model import AlarmSettings, CameraSettings, Settings
from agent.settings.rules import IntrusionRule
from tests.fake_clock import ChipClock
from tests.incident_box import IncidentBox
from tests.made_twice import MadeTwice

BEGAN, CONTINUES, ENDED = HitState
ZONE = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9))


def camera(name, **rule):
    yard = IntrusionRule(rule_id="yard", zone=ZONE, **rule)
    return CameraSettings(camera_id=name, main_url="rtsp://10.0.0.1/main", rules=(yard,))


def box_with(folder, rule=None, *, clock=None, database=Database, **alarms):
    cameras = tuple(camera(name, **(rule or {})) for name in ("gate", "roof"))
    settings = Settings(cameras=cameras, alarms=AlarmSettings(**alarms))
    return IncidentBox(folder, clock, settings=settings, database=database)


@asynccontextmanager
async def sweeping(box):
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(box.assembler.run())
        await box.clock.rests()
        try:
            yield
        finally:
            running.cancel()


def at(x, y, label="person"):
    return (TrackedObject(1, label, 0.9, Region(x - 0.05, y - 0.2, 0.1, 0.2)),)


async def one_alarm(box, wait_s=30.0, **hit):
    """Let something begin and end, and wait until its incident is over; return its id."""
    began = await box.took(**hit)
    await box.clock.advance(1.0)
    await box.took(ENDED, **{key: hit[key] for key in ("camera", "rule", "kind") if key in hit})
    await box.clock.advance(wait_s)
    return began.hit_id


async def test_who_walks_from_zone_to_zone_for_four_minutes_is_one_incident(tmp_path):
    async with box_with(tmp_path) as box, sweeping(box):
        for step in range(24):  # ten seconds in each zone, a moment in none
            rule = ("yard", "door")[step % 2]
            await box.took(rule=rule, people=1 + step % 3)
            await box.clock.advance(5.0)
            await box.took(CONTINUES, rule=rule, people=3)
            await box.clock.advance(3.0)
            await box.took(ENDED, rule=rule)
            await box.clock.advance(2.0)
        await box.clock.advance(30.0)
        events = await box.told()
    phases = [event.phase.value for event in events]
    assert (phases[0], phases[-1]) == ("new", "end")
    assert set(phases[1:-1]) <= {"update"}
    assert len({event.id for event in events}) == 1
    updates = [event.mono for event in events if event.phase.value == "update"]
    assert all(later - earlier >= 10.0 for earlier, later in pairwise(updates))
    assert set(events[-1].data.rules) == {"gate/yard", "gate/door"}
    assert len(events[-1].data.objects) == 3


async def test_it_ends_as_of_the_moment_nobody_was_there_any_more(tmp_path):
    async with box_with(tmp_path) as box, sweeping(box):
        await box.took()
        await box.clock.advance(3.0)
        last = await box.took(ENDED, reason="clear")
        await box.clock.advance(9.0)
        assert await box.phases() == ["new"]
        await box.clock.advance(5.0)
        _, end = await box.told()
    assert (end.data.ended_at, end.data.end_reason) == (last.at, "clear")


async def test_cameras_that_look_at_one_place_share_an_incident_and_others_do_not(tmp_path):
    async with box_with(tmp_path, overlaps=(("gate", "roof"),)) as box:
        await box.took(camera="gate")
        await box.took(camera="roof")
        (incident,) = {event.id for event in await box.told()}
        assert incident
    (tmp_path / "apart").mkdir()
    async with box_with(tmp_path / "apart") as box:
        await box.took(camera="gate")
        await box.took(camera="roof")
        assert len({event.id for event in await box.told()}) == 2


async def test_another_class_or_a_worse_thing_is_an_incident_of_its_own(tmp_path):
    async with box_with(tmp_path) as box:
        await box.took(objects=at(0.5, 0.5))
        await box.took(rule="cars", objects=at(0.5, 0.5, "car"))
        await box.took(rule="down", kind="person-down", objects=at(0.5, 0.5))
        events = await box.told()
    assert [event.phase.value for event in events] == ["new"] * 3
    assert events[2].data.severity is CapSeverity.SEVERE
    assert [event.data.grade for event in events] == [
        Grade.CERTIFIED_READY,
        Grade.CERTIFIED_READY,
        Grade.EXPERIMENTAL,
    ]


async def test_what_a_model_of_ones_own_sees_is_not_told_as_proven(tmp_path):
    async with box_with(tmp_path) as box:
        shipped = load_manifest().model
        for rule, model, kind, is_ours in (
            ("shipped", shipped, "intrusion", True),
            ("own", "fire-and-smoke/3", "line-crossing", False),
            ("namesake", shipped, "intrusion", False),  # of another hash
            ("turned", "fire-and-smoke/3", "tamper", False),  # of the picture: no model takes part
        ):
            label = {"own": "car", "namesake": "dog"}.get(rule, "person")
            seen = {"model": model, "is_measured": is_ours, "objects": at(0.5, 0.5, label)}
            await box.took(rule=rule, kind=kind, **seen)
        events = {event.data.rule_id: event.data for event in await box.told()}
    assert events["shipped"].grade is Grade.CERTIFIED_READY
    assert (events["own"].grade, events["own"].model) == (Grade.ASSIST, "fire-and-smoke/3")
    assert (events["namesake"].grade, events["namesake"].model) == (Grade.ASSIST, shipped)
    assert events["turned"].grade is Grade.CERTIFIED_READY


async def test_a_worse_level_is_told_at_once_and_the_same_level_is_not(tmp_path):
    async with box_with(tmp_path) as box:
        for state, level in ((BEGAN, 1), (CONTINUES, 1), (CONTINUES, 2), (CONTINUES, 4)):
            await box.took(state, kind="flood", people=0, measures={"level": float(level)})
            await box.clock.advance(1.0)
        events = await box.told()
    assert [event.data.measures["level"] for event in events] == [1, 2, 4]
    assert events[-1].data.severity is CapSeverity.EXTREME


async def test_what_the_cameras_own_analytics_saw_says_so(tmp_path):
    async with box_with(tmp_path) as box:
        await box.took(rule="onvif-line", kind="line-crossing", source=Source.CAMERA, people=0)
        await box.took(rule="onvif-field", kind="camera-analytics", source=Source.CAMERA, people=0)
        new, *_ = await box.told()
    assert (new.data.seen_by, new.data.grade) == (Source.CAMERA, Grade.ASSIST)


# Rations


async def test_beyond_the_ration_further_alarms_are_one_incident_that_says_so(tmp_path):
    async with box_with(tmp_path, max_per_hour=4, weather="off") as box, sweeping(box):
        for _ in range(12):
            await one_alarm(box)
        events = await box.told()
        assert box.assembler.rations.weather_until is None
    ids = {event.id for event in events}
    limited = [event for event in events if event.data.code == "alarms.limited"]
    assert len(ids) == 5
    assert len({event.id for event in limited}) == 1
    assert limited[0].data.detail


async def test_a_clock_that_was_ahead_spends_no_ration_and_keeps_no_weather(tmp_path):
    async with box_with(tmp_path, max_per_hour=4, weather_alarms=4) as box, sweeping(box):
        box.clock._at += timedelta(days=30)
        for _ in range(6):
            await one_alarm(box)
        assert box.assembler.rations.weather_until is not None
        box.clock._at -= timedelta(days=30)  # it is set right
        assert await box.db.run(lambda c: meter.count(c, box.clock.utc_now())) == {}
        await box.clock.advance(700.0)  # the one that held further alarms together is over
        before = {event.id for event in await box.told()}
        await one_alarm(box)
        assert box.assembler.rations.weather_until is None
        (new,) = [e for e in await box.told() if e.id not in before and e.phase.value == "new"]
        assert new.data.code != "alarms.limited"


async def test_many_alike_alarms_on_all_cameras_are_weather_and_another_class_is_not_limited(
    tmp_path,
):
    async with box_with(tmp_path, max_per_hour=8, weather_alarms=6) as box, sweeping(box):
        for number in range(10):
            await one_alarm(box, camera=("gate", "roof")[number % 2])
        assert box.assembler.rations.weather_until is not None
        await one_alarm(box, rule="cars", objects=at(0.5, 0.5, "car"))
        events = await box.told()
        opened = {event.id: event.data for event in events if event.phase.value == "new"}
        raised = [data for data in opened.values() if data.code != "alarms.limited"]
    assert len(raised) == 7
    assert [data.objects[0].label for data in raised].count("car") == 1


async def test_a_person_down_is_never_limited(tmp_path):
    async with box_with(tmp_path, max_per_hour=4, weather="on") as box, sweeping(box):
        for _ in range(6):
            await one_alarm(box, rule="down", kind="person-down")
        events = await box.told()
    assert len({event.id for event in events}) == 6


# Verdicts


def judge(box, event_id, verdict):
    now = box.clock.utc_now()
    return box.db.run(lambda c: nuisance.judge(c, event_id, verdict, "kim", now))


def listed(box):
    return box.db.run(lambda c: nuisance.listed(c, "gate", box.clock.utc_now()))


async def test_a_spot_called_false_twice_is_lowered_to_a_notice_there_and_nowhere_else(tmp_path):
    async with box_with(tmp_path) as box, sweeping(box):
        first, second = [await one_alarm(box, objects=at(0.5, 0.5)) for _ in range(2)]
        assert await judge(box, first, False)
        assert await judge(box, second, False)
        there = await one_alarm(box, objects=at(0.52, 0.48))
        elsewhere = await one_alarm(box, objects=at(0.2, 0.8))
        other_class = await one_alarm(box, rule="cars", objects=at(0.5, 0.5, "car"))
        alarms = {event.id for event in await box.told(StreamName.ALARM)}
        notices = await box.told(StreamName.EVENT)
        assert {elsewhere, other_class} < alarms
        assert {event.id for event in notices} == {there}
        assert [event.phase.value for event in notices] == ["new", "end"]
        assert notices[0].data.severity is CapSeverity.MINOR

        box.clock.pass_s(3 * 3600)
        at_another_hour = await one_alarm(box, objects=at(0.5, 0.5))
        assert at_another_hour in {event.id for event in await box.told(StreamName.ALARM)}


async def test_a_verdict_taken_back_or_cleared_raises_the_spot_again(tmp_path):
    async with box_with(tmp_path) as box, sweeping(box):
        first, second = [await one_alarm(box, objects=at(0.5, 0.5)) for _ in range(2)]
        await judge(box, first, False)
        await judge(box, second, False)
        assert len(await listed(box)) == 2
        await judge(box, second, None)
        again = await one_alarm(box, objects=at(0.5, 0.5))
        await judge(box, again, False)
        assert await box.db.run(lambda c: nuisance.clear(c, "gate")) == 2
        once_more = await one_alarm(box, objects=at(0.5, 0.5))
        assert {again, once_more} < {event.id for event in await box.told(StreamName.ALARM)}
        assert not await judge(box, "no such incident", False)


async def test_the_map_keeps_so_many_verdicts_and_each_for_thirty_days(tmp_path, monkeypatch):
    monkeypatch.setattr(nuisance, "KEEP_VERDICTS", 3)
    async with box_with(tmp_path) as box, sweeping(box):
        alarms = [await one_alarm(box, objects=at(0.5, 0.5)) for _ in range(5)]
        for alarm in alarms:
            await judge(box, alarm, False)
            box.clock.pass_s(1.0)
        assert [one.event_id for one in await listed(box)] == alarms[:1:-1]

        box.clock.pass_s(nuisance.LASTS.total_seconds())
        assert await listed(box) == []
        raised = await one_alarm(box, objects=at(0.5, 0.5))
        assert raised in {event.id for event in await box.told(StreamName.ALARM)}


async def test_the_meter_tells_each_cameras_day_and_what_became_of_its_alarms(tmp_path):
    async with box_with(tmp_path, max_per_hour=4) as box, sweeping(box):
        first, second = [await one_alarm(box, objects=at(0.5, 0.5)) for _ in range(2)]
        await judge(box, first, False)
        await judge(box, second, False)
        await one_alarm(box, objects=at(0.5, 0.5))  # lowered
        true = await one_alarm(box, objects=at(0.2, 0.8), camera="roof")
        await judge(box, true, True)
        for _ in range(3):
            await one_alarm(box, objects=at(0.2, 0.8))
        counts = await box.db.run(lambda c: meter.count(c, box.clock.utc_now()))
        assert counts == {
            "gate": meter.AlarmCount(raised=4, lowered=1, limited=1, judged_false=2),
            "roof": meter.AlarmCount(raised=1, judged_true=1),
        }
        box.clock.pass_s(86_400.0)
        assert await box.db.run(lambda c: meter.count(c, box.clock.utc_now())) == {}


# Shadow time


async def test_a_rule_in_its_shadow_time_raises_nothing_and_lists_what_it_would_have(tmp_path):
    async with box_with(tmp_path, rule={"shadow_days": 2}) as box, sweeping(box):
        await box.clock.advance(2.0)
        await one_alarm(box)
        assert await box.told() == []
        (would_be,) = await box.db.run(lambda c: shadow.listed(c, 10))
        assert (would_be.camera_id, would_be.rule_id) == ("gate", "yard")
        assert (would_be.ended_at - would_be.began_at).total_seconds() == pytest.approx(1.0)
        trial, *_ = await box.db.run(lambda c: shadow.trials(c, box.clock.utc_now()))
        assert (trial.rule_id, trial.raised, trial.is_over) == ("yard", 1, False)
        assert 0 < trial.lasted_days < 0.1

        await one_alarm(box, rule="not-in-the-shadow")
        assert await box.phases() == ["new", "end"]

        box.clock.pass_s(2 * 86_400.0)
        await one_alarm(box)
        assert await box.phases() == ["new", "end"] * 2
        trial, *_ = await box.db.run(lambda c: shadow.trials(c, box.clock.utc_now()))
        assert (trial.raised, trial.lasted_days, trial.is_over) == (1, 2.0, True)


NOW, BEHIND = datetime(2026, 11, 22, 12, tzinfo=UTC), timedelta(days=-21)
DAYS_S = 2 * 86_400.0


async def raises(box):
    """Say whether an alarm of the rule is told."""
    before = len(await box.told())
    await one_alarm(box)
    return len(await box.told()) > before


async def test_a_shadow_time_begun_by_a_clock_weeks_behind_is_not_over_when_that_is_set(tmp_path):
    clock = ChipClock(NOW, BEHIND)
    async with box_with(tmp_path, {"shadow_days": 2}, clock=clock) as box, sweeping(box):
        assert not await raises(box)
        clock.off = timedelta()
        assert not await raises(box)
        trial, *_ = await box.db.run(box.assembler.trials)
        assert 0 <= trial.lasted_days < 0.1
        clock.pass_s(DAYS_S)
        assert await raises(box)


async def test_a_shadow_time_ends_where_the_time_is_never_told_and_then_for_good(tmp_path):
    clock = ChipClock(NOW, BEHIND)
    async with box_with(tmp_path, {"shadow_days": 2}, clock=clock) as box, sweeping(box):
        assert not await raises(box)
        clock.pass_s(DAYS_S)
        assert await raises(box)
        clock.off = timedelta()
        assert await raises(box)
        clock.off = 10 * BEHIND  # a boot without the time
        assert await raises(box)
        trial, *_ = await box.db.run(box.assembler.trials)
        assert (trial.lasted_days, trial.is_over) == (2.0, True)
        cameras = (camera("gate", shadow_days=80),)
        box.assembler.use(Settings(cameras=cameras))  # tried for longer, after all
        clock.off = timedelta()
        assert not await raises(box)


async def test_a_shadow_time_begins_although_a_full_disk_undid_its_first_writing(tmp_path):
    async with box_with(tmp_path, {"shadow_days": 2}, database=MadeTwice) as box, sweeping(box):
        assert not await raises(box)
        box.clock.pass_s(DAYS_S)
        assert await raises(box)


async def test_who_tells_of_a_hit_learns_which_incident_it_joined_or_that_it_raised_none(tmp_path):
    async with box_with(tmp_path, rule={"shadow_days": 2}) as box, sweeping(box):
        assert await box.assembler.take(box.hit()) is None
        first = box.hit(rule="door")
        assert await box.assembler.take(first) == first.hit_id
        assert await box.assembler.take(box.hit(rule="lane")) == first.hit_id


async def test_a_changed_rule_begins_its_shadow_time_anew(tmp_path):
    async with box_with(tmp_path, rule={"shadow_days": 1}) as box, sweeping(box):
        box.clock.pass_s(90_000.0)
        changed = (camera("gate", shadow_days=1, dwell_s=7.0),)
        box.assembler.use(Settings(cameras=changed))
        await box.clock.advance(2.0)
        await one_alarm(box)
        assert await box.told() == []


async def test_the_center_is_told_of_rules_on_trial_with_each_sample(tmp_path):
    async with box_with(tmp_path, rule={"shadow_days": 2}) as box, sweeping(box):
        await box.clock.advance(2.0)
        await one_alarm(box)
        cameras = tuple(camera(name, shadow_days=2) for name in ("gate", "roof"))
        watch = AlarmWatch(box.db, box.assembler, Settings(cameras=cameras), box.clock)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(watch.run())
            await box.clock.rests(2)
            running.cancel()
        sample = watch.sample("gate")
        [trial] = sample.trials
        assert (trial.rule_id, trial.raised, trial.days, sample.shadow) == ("yard", 1, 2.0, 1)
        assert watch.sample("roof").trials[0].raised == 0
