"""Masked clips that wait for each other hold up no other order, and end with their grant."""

import asyncio
from datetime import timedelta

import pytest

from agent.commands import clip
from agent.commands.clip import MOST_MASKED, ClipHandler
from agent.contract.commands import Clip, EndGrant, ReplyState
from agent.contract.grants import What, Window
from agent.contract.scene_args import ClipMask
from agent.core.errors import CommandError
from agent.core.ids import new_ulid
from tests.grant_desk import desk
from tests.spine import eventually
from tests.uploading_box import Box


async def test_a_grant_can_be_ended_while_masked_clips_wait_and_they_end_with_it(tmp_path):
    async with desk(tmp_path) as box:
        (tmp_path / "sent").mkdir()
        uploads = Box(tmp_path / "sent")
        async with uploads.running():
            handler = ClipHandler(tmp_path, uploads.uploads, box.commands.resting)
            box.commands.register(
                "clip", handler, idempotent=True, deadline_s=600.0, lasts=True, rests=False
            )
            now = box.clock.utc_now()
            begin, end = now - timedelta(seconds=30), now - timedelta(seconds=20)
            grant = box.grant(
                what=(What.CLIP,), sink=None, window=Window(start_at=begin, end_at=now)
            )
            args = Clip(camera_id="gate", start_at=begin, end_at=end, mask=ClipMask())
            waiting = MOST_MASKED - 1
            async with handler._masking, asyncio.TaskGroup() as tasks:  # one is being made
                for _ in range(9):
                    order = box.order(args, grant=grant, id=new_ulid(box.clock.utc_now()))
                    tasks.create_task(order)

                async def too_many_told():
                    busy = [one for one in box.replies if one.code == "clip.busy"]
                    return len(busy) == 9 - waiting

                await eventually(too_many_told)
                reply = await box.order(EndGrant(grant_id=grant.id))
                assert reply.state is ReplyState.DONE
            over = [one for one in box.replies if one.code == "grant.over"]
            assert len(over) == waiting
            assert handler._masking._left == MOST_MASKED


async def test_a_place_in_line_is_free_again_whoever_had_it(tmp_path):
    line = clip._Line(1, 2)
    async with line:
        waiting = asyncio.create_task(line.__aenter__())
        await asyncio.sleep(0)
        with pytest.raises(CommandError) as caught:
            await line.__aenter__()
        assert caught.value.code == "clip.busy"
        waiting.cancel()
        await asyncio.wait([waiting])
    async with line:
        pass
    assert line._left == 2
