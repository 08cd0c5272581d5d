"""In a whole box with its camera: a voice and a text reach the scene, and orders are only tried."""

import asyncio
import json
import sqlite3
import wave
from contextlib import closing

import msgspec
from click.testing import CliRunner
from msgspec import structs

from agent.clips.export import sha256_of
from agent.contract.commands import Actor, Command, GiveGrant, ListGrants, ReplyState
from agent.contract.scene_args import SignText, Talk
from agent.core.ids import new_ulid
from agent.core.sqlite import open_reader
from agent.grants.store import holding
from agent.local.cli.main import cli
from agent.simulators.broker import CENTER, free_port
from agent.simulators.center.commander import load_key, sign
from agent.simulators.center.granting import Occasion
from tests.box_process import camera_in
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


async def test_the_stand_in_has_a_command_for_each_order(tmp_path, broker):  # noqa: F811
    async with scene(tmp_path, broker) as here:
        link = broker.settings(CENTER)
        to_box = ["--broker", link.urls[0], "--username", CENTER, "--password", link.password]
        to_box += ["--data-dir", str(tmp_path / "center")]

        async def center(*command):
            words = [*command[0].split(), *to_box, ADDRESS.box, *command[1:]]
            while True:  # on a machine with much else to do an order may grow too old
                done = await asyncio.to_thread(CliRunner().invoke, cli, ["center", *words])
                assert done.stdout, (done.output, done.exception)
                told = json.loads(done.stdout.splitlines()[-1])
                if told.get("code") not in ("command.no_answer", "command.expired"):
                    return done.exit_code, told

        await asyncio.to_thread(
            here.box.until, lambda state: (camera_in(state, "gate")["recorded_s"] or 0) > 5
        )
        out, listen = tmp_path / "gate.mp4", ("--listen", f"127.0.0.1:{free_port()}")
        span = ("--camera", "gate", "--last", "5", "--out", str(out), *listen)
        code, told = await center("clip", *span)
        assert (code, told["state"]) == (0, "done"), told
        assert await asyncio.to_thread(sha256_of, out) == told["result"]["sha256"]
        code, told = await center("clip", *span, "--masked", "--outside", "all")
        assert (code, told["result"]["masked"]["outside"]) == (0, "all"), told
        assert await asyncio.to_thread(sha256_of, out) == told["result"]["sha256"]
        picture = tmp_path / "gate.jpg"
        for more in ((), ("--whole", *listen)):
            told = await center("snapshot", "--camera", "gate", "--out", str(picture), *more)
            assert told[0] == 0, told
            assert (await asyncio.to_thread(picture.read_bytes)).startswith(b"\xff\xd8")
            await asyncio.to_thread(picture.unlink)
        speech = tmp_path / "speech.wav"
        with wave.open(str(speech), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(bytes(2 * 32_000))
        code, told = await center("talk", str(speech), "--camera", "gate", *listen)
        assert code == 0, told
        assert 0 < told["result"]["said_s"] <= 2.1
        assert (await center("search", "--last", "600", "--class", "person"))[0] == 0
        for move in (("ptz", "gate", "--pan", "0.5"), ("aim", "gate", "37.5", "127.0")):
            code, told = await center(*move)
            assert (code, told["code"]) == (1, "ptz.no_onvif")
        sink, ca = here.relay.url("{camera}"), tmp_path / "relay-ca.pem"
        await asyncio.to_thread(ca.write_text, "the relay's own authority")
        given = ("--kind", "intrusion", "--audience", "112", "--reason", "crime", "--sink", sink)
        given += ("--sink-ca", str(ca))
        code, told = await center("policy give", *given)
        assert code == 0, told
        policy_id = told["result"]["policy"]
        (known,) = (await center("policy list"))[1]["result"]["policies"]
        assert (known["policy"], known["kinds"]) == (policy_id, ["intrusion"])
        with closing(open_reader(here.box.data_dir / "box.db")) as db:
            bodies = [row["body"] for row in db.execute("SELECT body FROM policies")]
        assert all(b"the relay's own authority" in body for body in bodies)
        assert (await center("policy end", policy_id))[0] == 0
        to_whom = ("--camera", "gate", "--audience", "119", "--reason", "fire")
        code, told = await center("grant", *to_whom, "--sink", sink, "--sink-ca", str(ca))
        assert code == 0, told
        with closing(open_reader(here.box.data_dir / "box.db")) as db:
            sinks = [one.grant.sink for one in holding(db)]
        assert {one.ca for one in sinks if one} == {"the relay's own authority"}
        held = (await center("grants"))[1]["result"]["grants"]
        assert {"clip", "search"} <= {what for one in held for what in one["what"]}
        assert (await center("grants", "--end", held[0]["grant"]))[0] == 0
        left = (await center("grants"))[1]["result"]["grants"]
        assert [one["grant"] for one in left] == [one["grant"] for one in held[1:]]


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
        words = await asyncio.to_thread(
            CliRunner().invoke, cli, ["incidents", "try", *east, *folder[:2]]
        )
        assert "gate" in words.stdout
        assert "px/m, would be called up\n" in words.stdout
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
            return ops == [5, 3, 1]

        await eventually(are_audited)


TRIES = ("grant.try", "incident.try", "aim.try")
