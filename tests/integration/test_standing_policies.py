"""What a signed standing policy allows begins by itself on the box's own alarm, nothing else."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from click.testing import CliRunner

from agent.app import policy_watch
from agent.contract.commands import EndPolicy, GivePolicy, ListPolicies, ReplyState
from agent.contract.events import CapStatus, EventKind, StreamName, TimeQuality
from agent.contract.grants import GIVEN, What
from agent.core.ids import new_ulid
from agent.events.happening import Happening
from agent.events.incidents import Incidents
from agent.events.telling import Origin
from agent.local.cli.grants import grants
from tests.grant_desk import TOKEN, Clock, desk, policy
from tests.spine import eventually


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """The box looks often, so that nobody waits long to see that it does nothing."""
    monkeypatch.setattr(policy_watch, "LOOK_EVERY_S", 0.2)


async def alarm(box, kind=EventKind.INTRUSION, camera_id="gate", rule_id="yard"):
    """Begin an incident as the assembler does; return its id."""
    origin = Origin("site-1", "box-1", 1, lambda: box.outbox.epoch, CapStatus.ACTUAL)
    made = Incidents(box.outbox.append_in, origin, box.clock)
    what = Happening(
        key=f"{camera_id}/{rule_id}/{new_ulid(box.clock.utc_now())}",
        subject=camera_id,
        kind=kind,
        at=box.clock.utc_now(),
        mono_s=box.clock.monotonic_s(),
        tq=TimeQuality.NTP,
        stream=StreamName.ALARM,
        rule_id=rule_id,
    )
    return await box.db.run(lambda connection: made.begin(connection, what))


async def pushed(box):
    async def is_pushed():
        return box.workers.started

    await eventually(is_pushed)


async def nothing_pushed(box, looks=3):
    for _ in range(looks):
        seen = box.watch.last_progress_mono_s

        async def looked(seen=seen):
            return box.watch.last_progress_mono_s != seen

        await eventually(looked)
    assert box.workers.orders == []


async def test_an_alarm_of_an_allowed_class_starts_the_push_with_no_word_from_anybody(tmp_path):
    async with desk(tmp_path) as box:
        assert (await box.order(GivePolicy(policy=policy(box)))).state is ReplyState.DONE
        began_s = box.clock.monotonic_s()
        event_id = await alarm(box)
        await pushed(box)
        print("alarm -> push ordered, s:", round(box.clock.monotonic_s() - began_s, 2))  # noqa: T201
        (order,) = box.workers.started
        assert order.url == "rtsp://relay.example/gate"
        entry = next(one for one in await box.audited() if one.op == GIVEN)
        told = msgspec.json.decode(entry.detail)
        assert (told["incident"], told["audience"], entry.actor) == (event_id, "112", "box")
        listed = await box.order(ListPolicies())
        assert listed.result["policies"][0]["kinds"] == ["intrusion"]
        shown = await asyncio.to_thread(
            CliRunner().invoke, grants, ["policies", "--data-dir", str(tmp_path)]
        )
        assert "112" in shown.stdout
        assert TOKEN not in str(listed) + shown.stdout


async def test_what_a_box_on_trial_shows_by_itself_is_a_trial_too(tmp_path):
    async with desk(tmp_path, status=CapStatus.TEST) as box:
        await box.order(GivePolicy(policy=policy(box)))
        await alarm(box)
        await pushed(box)
        assert [given.grant.status for given, _ in await box.grants.holding()] == [CapStatus.TEST]


ELSEWHERE = {
    "class": ({}, {"kind": EventKind.LOITERING}),
    "zone": ({"zones": ("roof",)}, {}),
    "camera": ({}, {"camera_id": "attic"}),
    "hours": ({"hours": ("00:00-00:01",)}, {}),
}


@pytest.mark.parametrize("what", ELSEWHERE)
async def test_what_it_does_not_name_starts_nothing(tmp_path, what):
    fields, happens = ELSEWHERE[what]
    clock = Clock()
    noon = datetime.now(UTC).replace(hour=12, minute=0)
    clock.wall_jump_s = (noon - datetime.now(UTC)).total_seconds()
    async with desk(tmp_path, clock) as box:
        await box.order(GivePolicy(policy=policy(box, **fields)))
        await alarm(box, **happens)
        await nothing_pushed(box)


async def test_over_ended_or_with_an_unsure_clock_it_allows_nothing(tmp_path):
    clock = Clock()
    async with desk(tmp_path, clock) as box:
        short, other = policy(box), policy(box, what=(What.SNAPSHOT,), sink=None)
        for one in (short, other):
            await box.order(GivePolicy(policy=one))
        await box.order(EndPolicy(policy_id=other.id))
        clock.trusted = TimeQuality.UNSYNCED
        await alarm(box)
        await nothing_pushed(box)
        clock.trusted = TimeQuality.NTP
        clock.wall_jump_s = timedelta(days=2).total_seconds()
        await alarm(box)
        await nothing_pushed(box)
        assert (await box.order(ListPolicies())).result["policies"] == []


async def test_with_a_policy_ends_what_it_allowed(tmp_path):
    async with desk(tmp_path) as box:
        exp = int(box.clock.utc_now().timestamp()) + 60
        short, other = policy(box, exp=exp, lasts_s=600), policy(box)
        for one in (short, other):
            await box.order(GivePolicy(policy=one))
        await alarm(box)

        async def both():
            return len(await box.grants.holding()) == 2

        await eventually(both)
        ends = {given.by.case: given.grant.exp for given, _ in await box.grants.holding()}
        assert ends[short.id] == exp
        assert ends[other.id] > exp
        await box.order(EndPolicy(policy_id=other.id))
        assert [given.by.case for given, _ in await box.grants.holding()] == [short.id]
        assert (await box.reports())[-1].ended == "ended"


async def test_a_restart_keeps_it_and_starts_nothing_twice(tmp_path):
    async with desk(tmp_path) as box:
        await box.order(GivePolicy(policy=policy(box)))
        await alarm(box)
        await pushed(box)
    async with desk(tmp_path) as box:
        seen = box.watch.last_progress_mono_s

        async def looked():
            return box.watch.last_progress_mono_s != seen

        await eventually(looked)
        await asyncio.sleep(0)
        assert len(await box.grants.holding()) == 1
        await alarm(box)

        async def both():
            return len(await box.grants.holding()) == 2

        await eventually(both)


WRONG = {
    "grant.wrong_box": {"box": "box-2"},
    "grant.unknown_audience": {"audience": "neighbour"},
    "grant.wrong_audience": {"audience": "court"},
    "grant.unknown_reason": {"reason": "curiosity"},
    "grant.no_trigger": {"reason": "anklet"},
    "policy.unknown_kind": {"kinds": ("party",)},
    "policy.bad_hours": {"hours": ("at night",)},
    "grant.expired": {"nbf": 1_700_000_000, "exp": 1_700_000_100},
}


@pytest.mark.parametrize("code", WRONG)
async def test_a_policy_that_does_not_fit_is_refused_and_audited(tmp_path, code):
    async with desk(tmp_path) as box:
        reply = await box.order(GivePolicy(policy=policy(box, **WRONG[code])))
        assert (reply.state, reply.code) == (ReplyState.FAILED, code)
        assert (await box.audited())[-1].code == code
        assert await box.policies.holding() == []
