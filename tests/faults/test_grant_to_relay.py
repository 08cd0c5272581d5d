"""A signed grant brings a camera's picture to the relay, and its end is the end of it."""

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path

import av
import msgspec
import psutil
import pytest

from agent.contract.audit import AUDIT_TYPE, AuditRecord
from agent.contract.commands import Actor, EndGrant, GiveGrant, ListGrants, ReplyState
from agent.contract.grants import (
    ENDED,
    GrantLimits,
    GrantReport,
    MediaGrant,
    Quality,
    Sink,
    What,
)
from agent.contract.scene_args import Playback
from agent.core.clock import SystemClock
from agent.core.ids import new_ulid
from agent.simulators.broker import CENTER
from agent.simulators.center.granting import Occasion
from tests.box_process import BoxProcess, CameraProcess, camera_in
from tests.brokers import Mosquitto
from tests.footage_maker import make_clip
from tests.relay_thread import RelayThread
from tests.spine import ADDRESS, eventually, make_center, running

CLOCK = SystemClock()
GOP = 10  # pictures from one key frame of the clip to the next
TOKEN = "canary-grant-token"
FAKE_TIME = str(next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), ""))


@pytest.fixture
async def broker(tmp_path):
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    yield broker
    await broker.stop()


class Scene:
    """A box with a camera, its center and a relay."""

    def __init__(self, box, center, relay, db):
        self.box, self.center, self.relay, self.db = box, center, relay, db

    def grant(self, lasts_s=600, **changes):
        now = int(CLOCK.utc_now().timestamp())
        fields = {
            "id": new_ulid(CLOCK.utc_now()),
            "box": ADDRESS.box,
            "incident": "2026-0417",
            "audience": "119",
            "purpose": "a fire at the market",
            "reason": "fire",
            "what": (What.LIVE,),
            "cameras": ("gate",),
            "nbf": now,
            "exp": now + lasts_s,
            "sink": Sink(url=self.relay.url(), token=TOKEN),
        }
        return MediaGrant(**(fields | changes))

    async def order(self, args, **given):
        by = Actor(user="kim", case="2026-0417")
        return [one async for one in self.center.command(ADDRESS, args, by, **given)][-1]

    async def give(self, grant):
        reply = await self.order(GiveGrant(grant=grant))
        assert reply.state is ReplyState.DONE, reply
        return reply

    async def reports(self):
        with closing(sqlite3.connect(f"file:{self.db}?mode=ro", uri=True)) as db:
            query = "SELECT body FROM records WHERE type = ?"
            rows = db.execute(query, (AUDIT_TYPE,)).fetchall()
        entries = [msgspec.json.decode(body, type=AuditRecord).data for (body,) in rows]
        return [
            msgspec.json.decode(entry.detail, type=GrantReport)
            for entry in entries
            if entry.op == ENDED
        ]

    async def packets_come(self, more=5):
        before = self.relay.packets()

        async def came():
            return self.relay.packets() >= before + more

        await eventually(came)

    async def nothing_comes(self):
        async def stands_still():
            before = self.relay.packets()
            await asyncio.sleep(0.7)
            return self.relay.packets() == before

        await eventually(stands_still)

    def sessions(self):
        """The connections that are open to the camera's streams just now."""
        port = self.camera.rtsp_port
        return sum(
            one.laddr.port == port and one.status == psutil.CONN_ESTABLISHED
            for one in psutil.Process(self.camera.process.pid).net_connections("tcp")
        )

    def core(self):
        family = psutil.Process(self.box.process.pid).children(recursive=True)
        return next(p for p in family if "agent.app.core_process" in " ".join(p.cmdline()))

    async def late_s(self, grant):
        """Wait for the end of a grant; return how long after it the last packet came."""
        ends_s = CLOCK.monotonic_s() + grant.exp - CLOCK.utc_now().timestamp()
        await asyncio.sleep(max(0.0, ends_s - CLOCK.monotonic_s()))
        await self.nothing_comes()
        return self.relay.publication().last_packet_mono_s - ends_s


@asynccontextmanager
async def scene(folder, broker, more=None, environment=None, **of_camera):
    clip = make_clip(folder / "clip.mp4", fps=10, seconds=4)
    async with running(make_center(folder / "center", broker.settings(CENTER))) as center:
        with RelayThread() as relay, CameraProcess(folder, "gate", clip, clip) as camera:
            link = msgspec.to_builtins(broker.settings(ADDRESS.box))
            told = {
                "site": ADDRESS.site,
                "box": ADDRESS.box,
                "broker": {key: value for key, value in link.items() if value is not None},
                "center": {"keys_file": str(folder / "center" / "center-keys.json")},
                "cameras": [camera.settings("gate", detect=False, **of_camera)],
                "buffer": {"min_free_bytes": 0},
            }
            with BoxProcess(folder, told | (more or {}), **(environment or {})) as box:
                relay.admits = lambda token: token == TOKEN
                await asyncio.to_thread(box.until, lambda s: camera_in(s, "gate")["is_recording"])
                made = Scene(box, center, relay, folder / "center" / "center.db")
                made.camera = camera
                yield made


async def test_a_grant_brings_the_picture_and_its_end_is_reported(tmp_path, broker):
    async with scene(tmp_path, broker) as here:
        sessions, began_s = here.sessions(), CLOCK.monotonic_s()
        grants = [here.grant() for _ in range(3)]
        await here.give(grants[0])
        await here.packets_come()
        publication = here.relay.publication()
        print("grant published -> first whole frame, s:",  # noqa: T201
              round(publication.first_frame_mono_s - began_s, 3))  # fmt: skip
        for grant in grants[1:]:
            await here.give(grant)
        with av.open(here.relay.url(), options={"rtsp_transport": "tcp"}, timeout=20) as player:
            assert next(player.decode(video=0)).width == 320
        assert here.relay.relay.announced_total == 1
        assert here.sessions() == sessions
        here.core().kill()

        async def comes_again():
            return here.relay.relay.announced_total == 2

        await eventually(comes_again)
        await here.packets_come()
        listed = await here.order(ListGrants())
        assert len(listed.result["grants"]) == 3
        for grant in grants:
            await here.packets_come()
            assert (await here.order(EndGrant(grant_id=grant.id))).state is ReplyState.DONE
        await here.nothing_comes()
        assert TOKEN not in here.box.said()


async def test_a_grant_ends_by_itself_and_the_center_stores_the_report(tmp_path, broker):
    async with scene(tmp_path, broker) as here:
        await here.give(here.grant(lasts_s=6))
        await here.packets_come()

        async def is_reported():
            return len(await here.reports()) == 1

        await eventually(is_reported)
        last_s = here.relay.publication().last_packet_mono_s
        (report,) = await here.reports()
        print("report", report, "last packet so long ago:", CLOCK.monotonic_s() - last_s)  # noqa: T201
        assert report.ended == "expired"
        assert report.bytes > 0
        before = here.relay.packets()
        await here.nothing_comes()
        assert here.relay.packets() == before


async def test_of_a_camera_that_is_only_recorded_the_second_stream_is_open_while_it_is_shown(
    tmp_path, broker
):
    async with scene(tmp_path, broker, look=False) as here:
        assert here.sessions() == 1
        small = GrantLimits(quality=Quality.SUB)
        grants = [here.grant(limits=small) for _ in range(2)]
        for grant in grants:
            await here.give(grant)
            await here.packets_come()
            assert here.sessions() == 2
        assert here.relay.relay.announced_total == 1
        for grant in grants:
            await here.order(EndGrant(grant_id=grant.id))

        async def is_closed():
            return here.sessions() == 1

        await eventually(is_closed)
        thin = here.grant(limits=GrantLimits(quality=Quality.VEHICLE_LTE, max_kbps=10))
        await here.give(thin)

        async def stills_come():
            shown = here.relay.publication()
            return "JPEG" in shown.sdp and shown.pictures_total > 1

        await eventually(stills_come)
        assert here.sessions() == 2
        await here.order(EndGrant(grant_id=thin.id))
        await eventually(is_closed)


async def test_what_was_recorded_is_shown_again_as_fast_as_it_was_and_ends_with_its_grant(
    tmp_path, broker
):
    async with scene(tmp_path, broker) as here:
        began = CLOCK.utc_now()
        await asyncio.sleep(6)
        span = {"start_at": began + timedelta(seconds=1), "end_at": began + timedelta(seconds=5)}
        sink = Sink(url=here.relay.url(), token=TOKEN)
        occasion = Occasion(audience="119", reason="fire", sink=sink)
        since_s = CLOCK.monotonic_s()
        reply = await here.order(Playback(camera_id="gate", **span), occasion=occasion)
        took_s = CLOCK.monotonic_s() - since_s
        shown = here.relay.publication()
        print("playback: first frame after, s:", round(shown.first_frame_mono_s - since_s, 2),  # noqa: T201
              "took", round(took_s, 1), reply.result)  # fmt: skip
        assert reply.state is ReplyState.DONE, reply
        assert 40 <= reply.result["pictures"] <= 40 + GOP  # 4 s of 10/s, from a key frame on
        assert shown.pictures_total == reply.result["pictures"]
        assert took_s >= 3.9

        never = {"start_at": began - timedelta(hours=2), "end_at": began - timedelta(hours=1)}
        reply = await here.order(Playback(camera_id="gate", **never), occasion=occasion)
        assert (reply.state, reply.code) == (ReplyState.FAILED, "clip.nothing_recorded")

        span["start_at"] = began - timedelta(minutes=1)
        span["end_at"] = began + timedelta(minutes=1)
        playing = asyncio.create_task(
            here.order(Playback(camera_id="gate", **span), occasion=occasion)
        )
        await here.packets_come()
        for grant in (await here.order(ListGrants())).result["grants"]:
            await here.order(EndGrant(grant_id=grant["grant"]))
        assert (await playing).code == "grant.over"
        await here.nothing_comes()

        async def are_reported():
            return any(report.bytes > 0 for report in await here.reports())

        await eventually(are_reported)


@pytest.mark.long
@pytest.mark.parametrize("jump", ["-2h", "+2h"])
async def test_the_last_packet_is_no_later_than_the_end_though_the_wall_clock_jumps(
    tmp_path, broker, jump
):
    told = tmp_path / "wall-clock"
    told.write_text("+0")
    moved = {
        "LD_PRELOAD": FAKE_TIME,
        "FAKETIME_TIMESTAMP_FILE": str(told),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    async with scene(tmp_path, broker, environment=moved) as here:
        grant = here.grant(lasts_s=12)
        await here.give(grant)
        await here.packets_come()
        await asyncio.to_thread(told.write_text, jump)
        await here.packets_come(more=20)
        late_s = await here.late_s(grant)
        print("last packet after the end, wall clock", jump, "s:", round(late_s, 2))  # noqa: T201
        assert -2.0 <= late_s <= 1.0


@pytest.mark.long
async def test_the_last_packet_is_no_later_than_the_end_online_offline_and_after_a_restart(
    tmp_path, broker
):
    async with scene(tmp_path, broker) as here:
        late_s = {}
        grant = here.grant(lasts_s=5)
        await here.give(grant)
        await here.packets_come()
        late_s["online"] = await here.late_s(grant)

        grant = here.grant(lasts_s=15)
        await here.give(grant)
        await here.packets_come()
        announced = here.relay.relay.announced_total
        here.core().kill()  # it comes again, and goes on with what is left

        async def comes_again():
            return here.relay.relay.announced_total > announced

        await eventually(comes_again)
        late_s["core killed"] = await here.late_s(grant)

        grant = here.grant(lasts_s=6)
        await here.give(grant)
        await here.packets_come()
        here.box.process.kill()  # all of it, as a power cut; its children follow
        late_s["power cut"] = await here.late_s(grant)
        here.box.process.wait()
        here.box.start()
        await asyncio.to_thread(here.box.until, lambda s: camera_in(s, "gate")["is_recording"])
        await here.nothing_comes()

        grant = here.grant(lasts_s=6)
        await here.give(grant)
        await here.packets_come()
        await broker.stop()
        late_s["offline"] = await here.late_s(grant)
        print("last packet after the end, s:", {k: round(v, 2) for k, v in late_s.items()})  # noqa: T201
        assert max(late_s.values()) <= 1.0
