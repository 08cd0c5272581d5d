"""By the center's order a voice and a text reach the scene, in a whole box with its camera."""

import asyncio
import sqlite3
from contextlib import closing

from agent.contract.commands import ReplyState
from agent.contract.scene_args import SignText, Talk
from agent.simulators.center.granting import Occasion
from tests.faults.test_grant_to_relay import broker, scene  # noqa: F401 - a fixture
from tests.integration.test_talk_down import SAID_S, voice  # noqa: F401 - a fixture
from tests.spine import eventually

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
