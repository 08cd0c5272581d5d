"""What waits for its turn, or is on its way, is neither done nor sent when its grant has ended."""

import asyncio
import os
import threading
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from agent.cameras.relay_guard import RelayGuard, RelayRule
from agent.commands.clip import ClipHandler
from agent.commands.relay import RelayHandler
from agent.commands.snapshot import SnapshotHandler
from agent.contract.commands import Clip, EndGrant, Output, Ping, Relay, ReplyState, Snapshot
from agent.contract.grants import What, Window
from agent.messages.worker import PictureReply
from agent.settings.model import UploadSettings
from agent.simulators.center.commander import sign
from agent.uploads import queue
from agent.uploads.queue import State
from agent.uploads.sender import Uploads
from tests.fake_clock import FakeClock
from tests.footage_maker import make_clip
from tests.grant_desk import Clock, desk
from tests.recording import Tape
from tests.s3_store import S3Store, StoreDesk, StoreProxy
from tests.spine import eventually
from tests.uploading_box import queue_file

LARGE = os.urandom(12 * 1024 * 1024)


@pytest.fixture(scope="module")
def s3():
    store = S3Store()
    yield store
    store.close()


@pytest.fixture
def proxy(s3):
    proxy = StoreProxy(s3.port)
    yield proxy
    proxy.close()


class Pictures:
    async def picture(self, camera_id, max_width_px, max_bytes):
        del camera_id, max_width_px, max_bytes
        now = Clock()
        return PictureReply(
            request_id=1,
            taken_at=now.utc_now(),
            taken_mono_s=now.monotonic_s(),
            width_px=640,
            height_px=360,
            jpeg=b"a picture",
        )


def closed(clock):
    """A window for files that opens in some hours."""
    opens = clock.utc_now() + timedelta(hours=3)
    return f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}"


@asynccontextmanager
async def box_with_files(folder, clock=None, center=None, window=""):
    """A box's orders, grants and files, joined as `make_grants` joins them."""
    async with desk(folder, clock, parts=[queue.PART]) as box:

        async def answer(reply):
            box.replies.append(reply)
            if reply.need is not None and center is not None:
                tasks.create_task(bring(reply))

        async def bring(reply):
            await box.uploads.take(await center.answer(reply.id, reply.need))

        settings = UploadSettings(window=window)
        box.uploads = Uploads(box.clock, box.db, folder, answer, settings)
        box.uploads.grant_holds = box.grants.holds
        box.grants.at_end.append(box.uploads.grant_ended)
        clips = ClipHandler(folder, box.uploads, box.commands.resting)
        more = {"idempotent": True, "deadline_s": 60.0}
        box.commands.register("clip", clips, lasts=True, rests=False, **more)
        pictures = SnapshotHandler(Pictures(), box.clock, box.uploads)
        box.commands.register("snapshot", pictures, **more)
        await box.uploads.start()
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(box.uploads.run())
            yield box
            sending.cancel()


def told(box, command_id, code):
    async def is_told():
        return any(r.id == command_id and r.code == code for r in box.replies)

    return eventually(is_told)


@pytest.fixture
def recorded(tmp_path):
    """Ten seconds of camera `gate`, in the folder of the box."""
    tape = Tape(tmp_path / "cameras" / "gate", FakeClock(Clock().utc_now() - timedelta(minutes=1)))
    start_at = tape.clock.utc_now()
    tape.record(make_clip(tmp_path / "made.mp4", seconds=6))
    tape.index.close()
    return {"start_at": start_at, "end_at": start_at + timedelta(seconds=5)}


def file_order(box, kind, span, proxy):
    if kind == "clip":
        rights = {"what": (What.CLIP,), "window": Window(**span)}
        args = Clip(camera_id="gate", **span)
    else:
        rights = {"what": (What.SNAPSHOT,)}
        args = Snapshot(camera_id="gate", upload_url=f"{proxy.url}/clips/one")
    return box.command(args, grant=box.grant(sink=None, **rights))


@pytest.mark.parametrize("how", ["ended", "expired", "restarted"])
@pytest.mark.parametrize("kind", ["clip", "snapshot"])
async def test_a_file_that_waits_is_not_sent_once_its_grant_is_over(
    tmp_path, proxy, recorded, kind, how
):
    clock = Clock()
    async with box_with_files(tmp_path, clock, window=closed(clock)) as box:
        command = file_order(box, kind, recorded, proxy)
        reply = await box.hand_in(sign(command, box.key))
        assert (reply.state, reply.result["waits_for"]) == (ReplyState.DONE, "window"), reply
        if how == "ended":
            await box.order(EndGrant(grant_id=command.grant.id))
        elif how == "expired":
            clock.mono_jump_s = 601
        if how != "restarted":
            await told(box, command.id, "grant.over")
    clock.mono_jump_s = 601
    async with box_with_files(tmp_path, clock) as box:  # with the way open
        await told(box, command.id, "grant.over") if how == "restarted" else None
        job = await box.uploads.find(command.id)
        assert (job.state, job.code) == (State.FAILED, "grant.over")
        assert list(box.uploads.folder.iterdir()) == []
    assert proxy.puts == []


async def test_a_file_whose_grant_holds_goes_on_after_a_restart(tmp_path, s3, proxy, recorded):
    clock, center = Clock(), StoreDesk(s3, proxy.url)
    async with box_with_files(tmp_path, clock, window=closed(clock)) as box:
        command = file_order(box, "clip", recorded, proxy)
        assert (await box.hand_in(sign(command, box.key))).result["uploaded"] is False
    async with box_with_files(tmp_path, clock, center) as box:

        async def is_sent():
            return (await box.uploads.find(command.id)).state is State.DONE

        await eventually(is_sent)


async def test_what_is_on_its_way_stops_and_the_center_can_let_its_parts_go(tmp_path, s3, proxy):
    center = StoreDesk(s3, proxy.url)
    async with box_with_files(tmp_path, None, center) as box:
        proxy.faults = ["ok", "slow"]
        grant = box.grant(what=(What.CLIP,), window=window(box), sink=None)
        args = Clip(camera_id="gate", start_at=grant.window.start_at, end_at=grant.window.end_at)
        given = await box.grants.give(box.command(args), grant)
        command_id = box.command(args).id
        await queue_file(box.uploads, LARGE, command_id, rests_on=given.grant.id)

        async def is_in_the_second_part():
            return proxy.received.get(2, 0) > 500_000

        await eventually(is_in_the_second_part)
        await box.order(EndGrant(grant_id=grant.id))
        await told(box, command_id, "grant.over")

        async def is_quiet():
            before = dict(proxy.received)
            await asyncio.sleep(0.3)
            return before == proxy.received

        await eventually(is_quiet)
        assert proxy.received[2] < 5 * 1024 * 1024
        assert center.in_parts() == [command_id]
        await asyncio.to_thread(center.abort, command_id)
        assert center.in_parts() == []


def window(box):
    now = box.clock.utc_now()
    return Window(start_at=now - timedelta(seconds=60), end_at=now)


@pytest.mark.parametrize(
    "args",
    [
        Output(output_id="siren", on=True),
        Relay(camera_id="gate", relay="one", on=True),
        Snapshot(camera_id="gate"),
    ],
    ids=["output", "relay", "snapshot"],
)
async def test_an_order_in_line_is_not_carried_out_once_its_grant_is_over(tmp_path, args):
    done, may_end = [], asyncio.Event()

    async def works(command, _):
        done.append(command.op)
        await may_end.wait()
        return {}

    async with desk(tmp_path) as box:
        for op in ("ping", "output", "relay", "snapshot"):
            box.commands.register(op, works, idempotent=True)
        for _ in range(8):
            await box.commands.handle(sign(box.command(Ping()), box.key))
        what = What.SNAPSHOT if isinstance(args, Snapshot) else What.TALK
        cameras = () if isinstance(args, Output) else ("gate",)
        grant = box.grant(what=(what,), cameras=cameras, sink=None)
        command = box.command(args, grant=grant)
        await box.commands.handle(sign(command, box.key))
        ended = await box.order(EndGrant(grant_id=grant.id))  # waits behind nobody
        assert ended.state is ReplyState.DONE
        may_end.set()
        await told(box, command.id, "grant.over")
        assert done == ["ping"] * 8


async def test_an_order_that_a_restart_interrupts_is_not_done_again_without_its_grant(tmp_path):
    done = []
    clock = Clock()

    async def never(command, _):
        done.append(command.id)
        await asyncio.Event().wait()

    async with desk(tmp_path, clock) as box:
        box.commands.register("output", never, idempotent=True)
        command = box.command(
            Output(output_id="siren", on=True),
            grant=box.grant(what=(What.TALK,), cameras=(), sink=None),
        )
        await box.commands.handle(sign(command, box.key))

        async def is_begun():
            return bool(done)

        await eventually(is_begun)
    clock.mono_jump_s = 601

    def register(box):
        box.commands.register("output", never, idempotent=True)

    async with desk(tmp_path, clock, register) as box:
        await told(box, command.id, "grant.over")
    assert done == [command.id]


async def test_what_stops_something_is_done_though_a_grant_that_is_over_came_with_it(tmp_path):
    async with desk(tmp_path) as box:
        done = []

        async def works(command, _):
            done.append(command.id)
            return {}

        box.commands.register("output", works, idempotent=True)
        grant = box.grant(what=(What.TALK,), cameras=(), sink=None)
        await box.grants.give(box.command(Ping()), grant)
        await box.order(EndGrant(grant_id=grant.id))
        reply = await box.order(Output(output_id="siren", on=False), grant=grant)
        assert (reply.state, len(done)) == (ReplyState.DONE, 1)


@pytest.mark.parametrize("is_slow", [False, True])
async def test_a_cameras_relay_is_safe_once_its_grant_is_over_also_while_it_is_switched(
    tmp_path, is_slow
):
    switched, may_go_on = [], threading.Event()

    def switch(token, is_on):
        del token
        if is_on and is_slow:
            may_go_on.wait(30.0)
        switched.append(is_on)

    guard = RelayGuard((RelayRule("siren", 600.0),), switch, Clock())
    async with desk(tmp_path) as box:
        relays = RelayHandler(lambda _: guard)
        box.grants.at_end.append(relays.grant_ended)
        box.commands.register("relay", relays, idempotent=True, deadline_s=60.0)
        grant = box.grant(what=(What.TALK,), sink=None)
        args = Relay(camera_id="gate", relay="siren", on=True, for_s=60.0)
        await box.commands.handle(sign(box.command(args, grant=grant), box.key))

        async def is_ordered():
            return "siren" in guard.on_for_s and (is_slow or switched == [True])

        await eventually(is_ordered)
        await box.order(EndGrant(grant_id=grant.id))
        may_go_on.set()

        async def is_safe():
            return not guard.on_for_s and True in switched and not switched[-1]

        await eventually(is_safe)
    guard.close()
