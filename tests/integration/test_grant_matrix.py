"""Every order the contract knows, against everything that can be wrong with it or with its grant.

Refused with a code, audited, never done; nothing is pushed to anybody.
"""

import base64
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from agent.commands.signature import claimed_id
from agent.contract.commands import (
    OPERATIONS,
    Args,
    EndGrant,
    GiveGrant,
    GivePolicy,
    Output,
    Ping,
    ReplyState,
)
from agent.contract.grants import What, Window
from agent.contract.needs import need_of
from agent.simulators.center.commander import sign
from tests.grant_desk import desk, policy

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
SPAN = {"start_at": NOON, "end_at": NOON + timedelta(minutes=1)}
GATE = {"camera_id": "gate"}
ULID = "01JX0000000000000000000000"
FIELDS = {
    "snapshot": GATE,
    "clip": GATE | SPAN,
    "playback": GATE | SPAN,
    "lock": GATE | SPAN | {"expires_at": NOON + timedelta(days=1)},
    "unlock": GATE | {"lock_id": "one"},
    "ptz.move": GATE,
    "ptz.stop": GATE,
    "ptz.lease": GATE | {"key": "A" * 43},
    "ptz.release": {"lease": ULID},
    "ptz.goto": GATE | {"home": True},
    "ptz.presets": GATE | {"action": "set-home"},
    "ptz.imaging": GATE,
    "ptz.aux": GATE | {"what": "wiper", "state": "on"},
    "camera.osd": GATE,
    "camera.masks": GATE,
    "camera.encoder": GATE,
    "camera.password": GATE,
    "camera.care": GATE | {"action": "clock"},
    "camera.aim": GATE | {"lat": 37.5, "lon": 127.0},
    "replay": {"stream": "e", "from_seq": 1, "to_seq": 2},
    "search": GATE | SPAN,
    "verdict": {"incident_id": "one", "verdict": "true"},
    "output": {"output_id": "siren", "on": True},
    "relay": GATE | {"relay": "one", "on": True},
    "talk": GATE | {"source_url": "https://center.example/voice.wav"},
    "sign": {"sign_id": "front", "text": "TURN BACK"},
    "config": {"patch": {}},
    "upload.urls": {"upload": ULID},
    "grant.end": {"grant_id": ULID},
    "policy.end": {"policy_id": ULID},
    "update": {"action": "status"},
    "bundle": {"upload_url": ""},
    "identify": {},
}
NEEDS_A_GRANT = {
    "snapshot": What.SNAPSHOT,
    "clip": What.CLIP,
    "playback": What.PLAYBACK,
    "search": What.SEARCH,
    "ptz.move": What.PTZ,
    "ptz.lease": What.PTZ,
    "ptz.goto": What.PTZ,
    "ptz.presets": What.PTZ,
    "ptz.imaging": What.PTZ,
    "ptz.aux": What.PTZ,
    "camera.aim": What.PTZ,
    "output": What.TALK,
    "relay": What.TALK,
    "talk": What.TALK,
    "sign": What.TALK,
}
# who may never have it
WRONG_AUDIENCE = {
    What.CLIP: "fire-engine",
    What.PLAYBACK: "fire-engine",
    What.SEARCH: "patrol-car",
}
SEES_THE_PAST = (What.CLIP, What.PLAYBACK, What.SEARCH)


GIVES = ("grant.give", "policy.give")  # they are made with the box's own time


def args_of(op):
    if op in GIVES:
        return None
    return msgspec.convert({"op": op} | FIELDS.get(op, {}), Args, strict=False)


def altered(token):
    """What a broker in the middle makes of it: another box, and every key it has."""
    head, body, tail = token.split(b".")
    claims = msgspec.json.decode(base64.urlsafe_b64decode(body + b"=" * (-len(body) % 4)))
    claims["by"]["user"] = "somebody else"
    changed = base64.urlsafe_b64encode(msgspec.json.encode(claims)).rstrip(b"=")
    return b".".join((head, changed, tail))


class Matrix:
    """One operation on a box where it would work, and every token made for it."""

    def __init__(self, box, op):
        self.box, self.op, self.done = box, op, []
        if op not in box.commands.operations:
            box.commands.register(op, self._do, idempotent=True)

    async def _do(self, command, _):
        self.done.append(command.id)
        return {"jpeg": "what the camera sees"}

    def grant(self, **changes):
        need = need_of(args_of(self.op))
        window = {}
        if need.what in SEES_THE_PAST:
            window["window"] = Window(**SPAN)
        cameras = (need.camera_id,) if need.camera_id else ()
        fields = {"what": (need.what,), "cameras": cameras, "sink": None} | window
        return self.box.grant(**(fields | changes))

    def token(self, args=None, **changes):
        return sign(self.box.command(args or args_of(self.op), **changes), self.box.key)

    async def refused(self, token, code):
        entries, replies = len(await self.box.audited()), len(self.box.replies)
        done, pushes = list(self.done), list(self.box.workers.orders)
        reply = await self.box.hand_in(token)
        assert (reply.code, reply.result) == (code, None), reply
        assert reply.state not in (ReplyState.DONE, ReplyState.ACCEPTED)
        assert all(not one.result for one in self.box.replies[replies:])
        new = (await self.box.audited())[entries:]
        assert new[-1].code == code
        assert self.done == done
        assert self.box.workers.orders == pushes


def test_the_matrix_knows_every_order_and_what_it_needs():
    for op in OPERATIONS:
        if op not in GIVES:
            need = need_of(args_of(op))
            assert (need and need.what) == NEEDS_A_GRANT.get(op), op
    spoken_now = msgspec.convert({"op": "talk", "live": True} | FIELDS["talk"], Args)
    assert need_of(spoken_now) == need_of(args_of("talk"))


@pytest.mark.parametrize("op", sorted(NEEDS_A_GRANT))
async def test_without_a_grant_that_fits_nothing_is_seen_or_moved(tmp_path, op):
    async with desk(tmp_path) as box:
        matrix = Matrix(box, op)
        what = NEEDS_A_GRANT[op]
        wrong = {
            "grant.none": None,
            "grant.wrong_audience": {"audience": WRONG_AUDIENCE.get(what, "court")},
            "grant.unknown_audience": {"audience": "neighbour"},
            "grant.unknown_reason": {"reason": "curiosity"},
            "grant.no_trigger": {"reason": "anklet"},
            "grant.expired": {"nbf": int(NOON.timestamp()) - 9, "exp": int(NOON.timestamp())},
            "grant.wrong_box": {"box": "box-2"},
            "grant.other_camera": {"cameras": ("yard",)},
            "grant.other_use": {
                "what": (What.TALK if what is What.PTZ else What.PTZ,),
                "cameras": ("gate",),
            },
        }
        if what in SEES_THE_PAST:
            late = Window(start_at=NOON + timedelta(seconds=30), end_at=NOON + timedelta(hours=1))
            wrong["grant.outside_window"] = {"window": late}
        for code, changes in wrong.items():
            grant = None if changes is None else matrix.grant(**changes)
            await matrix.refused(matrix.token(grant=grant), code)
        good = matrix.token(grant=matrix.grant())
        await matrix.refused(altered(good), "command.bad_signature")


@pytest.mark.parametrize("op", sorted(NEEDS_A_GRANT))
async def test_what_was_ordered_under_a_grant_shows_nothing_again_once_it_ended(tmp_path, op):
    async with desk(tmp_path) as box:
        matrix = Matrix(box, op)
        grant = matrix.grant()
        token = matrix.token(grant=grant)
        assert (await box.hand_in(token)).state is ReplyState.DONE
        assert (await box.hand_in(token)).state is ReplyState.DONE
        assert len(matrix.done) == 1
        accepted = next(one for one in await box.audited() if one.op == op)
        assert accepted.grant == grant.id
        await box.order(EndGrant(grant_id=grant.id))
        await matrix.refused(token, "grant.over")
        await matrix.refused(matrix.token(grant=grant), "grant.over")
        await matrix.refused(matrix.token(Ping(), id=claimed_id(token)), "grant.over")


@pytest.mark.parametrize("op", OPERATIONS)
async def test_an_order_late_for_another_box_or_altered_is_refused(tmp_path, op):
    async with desk(tmp_path) as box:
        matrix = Matrix(box, op)
        args = args_of(op) or (
            GiveGrant(grant=box.grant()) if op == "grant.give" else GivePolicy(policy=policy(box))
        )
        grant = {"grant": matrix.grant()} if op in NEEDS_A_GRANT else {}
        at = int(box.clock.utc_now().timestamp())
        late = {"iat": at - 60, "nbf": at - 60, "exp": at - 30}
        await matrix.refused(matrix.token(args, **grant, **late), "command.expired")
        await matrix.refused(matrix.token(args, **grant, box="box-2"), "command.wrong_box")
        await matrix.refused(altered(matrix.token(args, **grant)), "command.bad_signature")
        await matrix.refused(matrix.token(args, **grant, iss="local"), "command.malformed")
        assert await box.grants.holding() == []


async def test_a_lasting_order_ends_with_its_grant(tmp_path):
    async with desk(tmp_path) as box:

        async def lasts(_, progress):
            await progress("granted", {})
            await box.clock.sleep_s(600)
            return {}

        box.commands.register("ptz.lease", lasts, idempotent=False, deadline_s=700, lasts=True)
        matrix = Matrix(box, "ptz.lease")
        reply = await box.hand_in(matrix.token(grant=matrix.grant(lasts_s=2)))
        assert (reply.state, reply.code) == (ReplyState.FAILED, "grant.over")


async def test_making_an_output_safe_needs_nobodys_leave(tmp_path):
    async with desk(tmp_path) as box:
        matrix = Matrix(box, "output")
        reply = await box.order(Output(output_id="siren", on=False))
        assert reply.state is ReplyState.DONE
        assert len(matrix.done) == 1
