"""In a whole box with its camera: a voice and a text reach the scene, and orders are only tried."""

import asyncio
import json
import sqlite3
from contextlib import closing

import msgspec
from click.testing import CliRunner
from msgspec import structs

from agent.contract.commands import Actor, Command, GiveGrant, ListGrants, ReplyState
from agent.contract.scene_args import SignText, Talk
from agent.core.ids import new_ulid
from agent.local.cli.main import cli
from agent.simulators.center.commander import load_key, sign
from agent.simulators.center.granting import Occasion
from tests.faults.test_grant_to_relay import (  # noqa: F401 - a fixture
    CLOCK,
    TOKEN,
    broker,
    scene,
)
from tests.integration.test_talk_down import SAID_S, voice  # noqa: F401 - a fixture
from tests.spine import ADDRESS, eventually

FLOOD = Occasion(audience="119", reason="flood")


async def test_a_voice_and_a_text_reach_the_scene_by_order(tmp_path, broker, voice):  # noqa: F811
    pole = {"signs": [{"sign_id": "front", "address": "sign-front"}]}
    async with scene(tmp_path, broker, more={"pole": pole}) as here:
        lines = here.box.data_dir / "run" / "lines"
        for args in (Talk(source_url=voice, camera_id="gate"), Talk(source_url=voice)):
            reply = await here.order(args, occasion=FLOOD)
            assert reply.state is ReplyState.DONE, reply
            assert reply.result["said_s"] == SAID_S
        assert (await asyncio.to_thread((lines / "speaker").read_text)).startswith(
            f"{SAID_S:.2f} s"
        )

        order = SignText(sign_id="front", text="TURN BACK", for_s=2)
        assert (await here.order(order, occasion=FLOOD)).state is ReplyState.DONE

        async def shows(text):
            return await asyncio.to_thread((lines / "sign-front").read_text) == text

        await eventually(lambda: shows("TURN BACK"))
        await eventually(lambda: shows(""))
        refused = await here.order(SignText(sign_id="back", text="X"), occasion=FLOOD)
        assert refused.code == "sign.unknown"

        async def is_audited():
            query = "SELECT count(*) FROM records WHERE CAST(body AS TEXT) LIKE ?"
            with closing(sqlite3.connect(f"file:{here.db}?mode=ro", uri=True)) as db:
                (count,) = db.execute(query, ('%"op":"talk"%',)).fetchone()
            return count == 4  # accepted and done, both

        await eventually(is_audited)


STAND = {"lat": 37.5665, "lon": 126.978, "height_m": 45.0, "above_ground_m": 5.0}


async def test_orders_and_places_can_be_tried_at_the_box_and_nothing_is_done(tmp_path, broker):  # noqa: F811
    async with scene(tmp_path, broker, stand=STAND | {"azimuth_deg": 90.0}) as here:
        folder = ("--data-dir", str(here.box.data_dir), "--json")

        async def tried(*command, text=""):
            done = await asyncio.to_thread(CliRunner().invoke, cli, [*command, *folder], text)
            assert done.stdout, (done.output, done.exception)
            told = json.loads(done.stdout)
            assert told["allowed"] is (done.exit_code == 0)
            return told

        def signed(grant, **changes):
            now = int(CLOCK.utc_now().timestamp())
            fields = {"id": new_ulid(CLOCK.utc_now()), "box": ADDRESS.box, "iss": ADDRESS.site}
            fields |= {"by": Actor(user="kim"), "iat": now, "nbf": now, "exp": now + 30}
            order = Command(args=GiveGrant(grant=grant), **(fields | changes))
            return sign(order, key).decode()

        key, grant = load_key(tmp_path / "center"), here.grant()
        told = await tried("grants", "try", "-", text=signed(grant))
        assert (told["signed"], told["grant"]["audience"]) == (True, "119")
        assert 590 < told["lasts_s"] <= 600
        assert TOKEN not in str(told)
        plain = msgspec.json.encode(grant).decode()
        assert (await tried("grants", "try", "-", text=plain))["signed"] is False
        refused = {
            "grant.unknown_camera": signed(structs.replace(grant, cameras=("attic",))),
            "command.wrong_box": signed(grant, box="box-2"),
            "command.bad_signature": signed(grant)[:-8] + "AAAAAAAA",
        }
        for code, text in refused.items():
            assert (await tried("grants", "try", "-", text=text))["code"] == code

        east = ("37.5665", "126.9782")  # some 18 m away, where it looks
        told = await tried("incidents", "try", *east)
        assert told["called"] == [told["candidates"][0]["camera_id"]] == ["gate"]
        assert told["may_turn"] == []
        assert (await tried("incidents", "try", "37.7", "126.9"))["candidates"] == []
        aim = await asyncio.to_thread(
            CliRunner().invoke, cli, ["aim", "gate", *east, "--try", *folder]
        )
        assert aim.exception.code == "ptz.no_onvif"

        assert (await here.order(ListGrants())).result == {"grants": []}
        assert here.relay.relay.announced_total == 0
        with closing(sqlite3.connect(f"file:{here.db}?mode=ro", uri=True)) as db:
            query = "SELECT count(*) FROM records WHERE CAST(body AS TEXT) LIKE ?"
            assert db.execute(query, ('%"op":"incident.open"%',)).fetchone() == (0,)

        async def are_audited():
            with closing(sqlite3.connect(f"file:{here.db}?mode=ro", uri=True)) as db:
                ops = [db.execute(query, (f'%"op":"{op}"%',)).fetchone()[0] for op in TRIES]
            return ops == [5, 2, 1]

        await eventually(are_audited)


TRIES = ("grant.try", "incident.try", "aim.try")
