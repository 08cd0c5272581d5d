"""A grant counts only when everything in it fits, ends by itself, and is reported once."""

import asyncio

import msgspec
import pytest
from click.testing import CliRunner
from joserfc.jwk import OKPKey

from agent.commands import turned_down
from agent.contract.commands import EndGrant, GiveGrant, ListGrants, ReplyState
from agent.contract.events import TimeQuality
from agent.contract.grants import AnkletTrigger, GrantLimits, Quality
from agent.core.clock import boot_id
from agent.core.errors import SettingsError
from agent.core.ids import new_ulid
from agent.local.cli.center_grant import grant
from agent.local.cli.grants import grants
from agent.messages.push import PushState
from agent.simulators.center.commander import sign
from tests.grant_desk import TOKEN, Clock, desk
from tests.spine import eventually

WRONG = {
    "wrong_box": {"box": "box-2"},
    "unknown_audience": {"audience": "neighbour"},
    "wrong_audience": {"audience": "court"},
    "unknown_reason": {"reason": "curiosity"},
    "no_trigger": {"reason": "anklet", "audience": "112"},
    "unknown_camera": {"cameras": ("attic",)},
}


@pytest.mark.parametrize("code", WRONG)
async def test_a_grant_that_does_not_fit_moves_nothing_and_is_audited(tmp_path, code):
    async with desk(tmp_path) as box:
        reply = await box.give(box.grant(**WRONG[code]))
        assert (reply.state, reply.code) == (ReplyState.FAILED, f"grant.{code}")
        assert [entry.code for entry in await box.audited()] == ["", f"grant.{code}"]
        assert box.workers.orders == []


@pytest.mark.parametrize("trigger", AnkletTrigger)
async def test_each_of_the_four_triggers_of_an_anklet_is_enough_and_no_other(tmp_path, trigger):
    async with desk(tmp_path) as box:
        fields = {"reason": "anklet", "audience": "112"}
        refused = await box.give(box.grant(trigger="curiosity", **fields))
        assert refused.code == "grant.no_trigger"
        assert box.workers.orders == []
        reply = await box.give(box.grant(trigger=trigger.value, **fields))
        assert reply.state is ReplyState.DONE
        assert len(box.workers.started) == 1


@pytest.mark.parametrize(("code", "shift_s"), [("expired", -3600), ("not_yet", 600)])
async def test_a_grant_out_of_its_time_moves_nothing(tmp_path, code, shift_s):
    async with desk(tmp_path) as box:
        now = int(box.clock.utc_now().timestamp()) + shift_s
        reply = await box.give(box.grant(nbf=now, exp=now + 60))
        assert reply.code == f"grant.{code}"
        assert box.workers.orders == []


async def test_what_the_center_did_not_sign_moves_nothing_and_is_audited(tmp_path):
    async with desk(tmp_path) as box:
        good = sign(box.command(GiveGrant(grant=box.grant())), box.key)
        head, body, tail = good.split(b".")
        altered = b".".join((head, body[:-6] + b"AAAAAA", tail))
        stranger = OKPKey.generate_key("Ed25519", auto_kid=True)
        for token in (altered, sign(box.command(GiveGrant(grant=box.grant())), stranger)):
            reply_codes = [reply.code for reply in box.replies]
            await box.commands.handle(token)
            assert len(reply_codes) <= len(box.replies)
        other = await box.give(box.grant(), box="box-2")
        assert other.code == "command.wrong_box"
        codes = [entry.code for entry in await box.audited()]
        assert codes == ["command.bad_signature"] * 2 + ["command.wrong_box"]
        assert box.workers.orders == []


async def test_whoever_has_the_broker_can_t_fill_the_audit_with_what_is_not_signed(tmp_path):
    async with desk(tmp_path) as box:
        for number in range(turned_down.MOST + 50):
            await box.commands.handle(b"%d.a.b" % number)
        codes = [entry.code for entry in await box.audited()]
        assert codes == ["command.bad_signature"] * turned_down.MOST
        box.clock.mono_jump_s = turned_down.WITHIN_S
        await box.commands.handle(b"a.b.c")
        assert len(await box.audited()) == turned_down.MOST + 1


async def test_a_replayed_order_and_a_grant_given_twice_start_one_push(tmp_path):
    async with desk(tmp_path) as box:
        grant = box.grant()
        token = sign(box.command(GiveGrant(grant=grant)), box.key)
        for _ in range(3):
            await box.hand_in(token)
        await box.give(grant)
        assert len(box.workers.started) == 1
        altered = await box.give(msgspec.structs.replace(grant, cameras=("yard",)))
        assert altered.code == "grant.altered"
        await box.order(EndGrant(grant_id=grant.id))
        await box.hand_in(token)
        assert (await box.give(grant)).code == "grant.over"
        assert len(box.workers.started) == 1


async def test_three_grants_are_one_push_and_each_ends_alone(tmp_path):
    async with desk(tmp_path) as box:
        lasting = [box.grant(lasts_s=s) for s in (600, 300, 900)]
        for grant in lasting:
            await box.give(grant)
        assert len({order.push_id for order in box.workers.started}) == 1
        for grant in lasting[:2]:
            await box.order(EndGrant(grant_id=grant.id))
        assert box.workers.stopped == []
        box.workers.sent = 1000
        await box.order(EndGrant(grant_id=lasting[2].id))
        assert len(box.workers.stopped) == 1
        assert [report.ended for report in await box.reports()] == ["ended"] * 3
        assert [report.bytes for report in await box.reports()] == [0, 0, 1000]
        assert (await box.order(EndGrant(grant_id=new_ulid(box.clock.utc_now())))).code == (
            "grant.unknown"
        )


async def test_the_sub_stream_is_another_push_with_the_lowest_limit(tmp_path):
    async with desk(tmp_path) as box:
        await box.give(box.grant())
        for kbps in (800, 300, 0):
            limits = GrantLimits(max_kbps=kbps, quality=Quality.VEHICLE_LTE)
            await box.give(box.grant(limits=limits))
        assert len({order.push_id for order in box.workers.started}) == 2
        assert box.workers.started[-1].max_kbps == 300


async def test_a_grant_ends_by_itself_whatever_the_wall_clock_says(tmp_path):
    clock = Clock()
    async with desk(tmp_path, clock) as box:
        await box.give(box.grant(lasts_s=3000))
        clock.wall_jump_s = -7200
        clock.mono_jump_s = 3001
        await eventually(box.reports)
        (report,) = await box.reports()
        assert report.ended == "expired"
        assert len(box.workers.stopped) == 1


async def test_a_core_that_was_killed_goes_on_with_what_is_left(tmp_path):
    async with desk(tmp_path) as box:
        grant = box.grant()
        await box.give(grant)
        until_s = box.workers.started[0].until_mono_s
    async with desk(tmp_path) as box:
        listed = await box.order(ListGrants())
        assert [one["grant"] for one in listed.result["grants"]] == [grant.id]
        await box.grants.worker_came("gate")
        assert {order.until_mono_s for order in box.workers.started} == {until_s}
        assert TOKEN not in str(listed) + repr(box.workers.orders) + repr(grant)


@pytest.mark.parametrize(
    ("trusted", "goes_on"), [(TimeQuality.NTP, True), (TimeQuality.RTC, False)]
)
async def test_after_a_reboot_only_a_proven_clock_lets_a_grant_go_on(tmp_path, trusted, goes_on):
    clock = Clock()
    async with desk(tmp_path, clock) as box:
        await box.give(box.grant(lasts_s=600))
    clock.trusted, clock.mono_jump_s, clock.wall_jump_s = trusted, 5.0, 100.0
    async with desk(tmp_path, clock, boot="boot-2") as box:
        left = [left_s for _, left_s in await box.grants.holding()]
        if goes_on:
            assert 400 < left[0] <= 500
        else:
            assert left == []
            assert [report.ended for report in await box.reports()] == ["reboot"]


async def test_the_box_lists_who_may_see_without_the_relay_or_its_token(tmp_path):
    async with desk(tmp_path, boot=boot_id()) as box:
        given = box.grant()
        await box.give(given)
        listed = await asyncio.to_thread(
            CliRunner().invoke, grants, ["list", "--json", "--data-dir", str(tmp_path)]
        )
    (row,) = map(msgspec.json.decode, listed.stdout.splitlines())
    assert (row["grant"], row["audience"], row["cameras"]) == (given.id, "119", ["gate"])
    assert 0 < row["left_s"] <= 600
    assert TOKEN not in listed.stdout
    assert "relay.example" not in listed.stdout


def test_the_center_makes_no_grant_that_no_box_would_take(tmp_path):
    told = ["box-1", "--camera", "gate", "--audience", "119", "--reason", "fire"]
    done = CliRunner().invoke(grant, [*told, "--sink", "http://relay.example/gate"])
    assert isinstance(done.exception, SettingsError)
    assert "sink" in str(done.exception)


async def test_a_push_that_ends_too_early_is_ordered_anew_and_still_stopped(tmp_path):
    async with desk(tmp_path) as box:
        grant = box.grant()
        await box.give(grant)
        (order,) = box.workers.started
        await box.grants.told(PushState(push_id=order.push_id, ended=True))

        async def is_again():
            return len(box.workers.started) == 2

        await eventually(is_again)
        await box.order(EndGrant(grant_id=grant.id))
        assert [one.push_id for one in box.workers.stopped] == [order.push_id]
