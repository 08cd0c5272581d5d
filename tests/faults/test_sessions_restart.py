"""An incident session outlives kill -9 of the core and of the box, and ends when it should."""

import asyncio
import sqlite3
from contextlib import closing

from agent.commands.incidents import read_sessions
from agent.contract.commands import Actor
from agent.contract.grants import What
from agent.contract.incidents import IncidentCall
from agent.contract.topics import district_topic
from agent.core.clock import SystemClock
from agent.core.ids import new_ulid
from agent.simulators.center.commander import sign
from agent.uplink.link import Outgoing
from tests.box_process import camera_in
from tests.faults.test_grant_to_relay import broker, scene  # noqa: F401 - a fixture
from tests.spine import ADDRESS, eventually

CLOCK = SystemClock()
PLACE = {"lat": 37.5665, "lon": 126.9780}
STAND = PLACE | {"wide_deg": 90.0}


def locks(box):
    """The spans that are kept as evidence for the session, by lock id."""
    index = box.data_dir / "cameras" / "gate" / "index.db"
    with closing(sqlite3.connect(f"file:{index}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        return {
            row["lock_id"]: row
            for row in db.execute("SELECT * FROM locks WHERE released_utc_us IS NULL")
        }


def sessions(box):
    return read_sessions(box.data_dir / "run")


async def test_it_is_locked_and_followed_on_after_every_kill_and_ends_at_its_time(
    tmp_path,
    broker,  # noqa: F811
):
    async with scene(tmp_path, broker, stand=STAND) as here:
        now = CLOCK.utc_now()
        at = int(now.timestamp())
        call = IncidentCall(
            id=new_ulid(now), seq=1, site=ADDRESS.site, incident="2026-0417", kind="escort",
            reason="escort-home", audience="119", by=Actor(user="kim"), iss=ADDRESS.site, iat=at,
            exp=at + 600, follow=True, silence_s=300.0, radius_m=10.0, **PLACE,
            grants=(here.grant(what=(What.LIVE,), on_call=True),),
        )  # fmt: skip
        await here.center.district.open(call)
        await here.packets_come()
        (first,) = locks(here.box)
        began = sessions(here.box)[0]["began_at"]

        here.core().kill()
        await goes_on(here, announced=2)
        assert sessions(here.box)[0]["began_at"] == began

        async def is_taken_over():
            held = locks(here.box)
            return first not in held and f"{first}-seen" in held and len(held) == 2

        await eventually(is_taken_over)

        here.box.process.kill()  # all of it, as a power cut; its children follow
        here.box.process.wait()
        here.box.start()
        await asyncio.to_thread(here.box.until, lambda s: camera_in(s, "gate")["is_recording"])
        await goes_on(here, announced=3)

        async def is_over():
            return not sessions(here.box)

        last = int(CLOCK.utc_now().timestamp()) + 8
        await here.center.district._again(call.id, exp=last)
        await asyncio.sleep(1)
        here.core().kill()
        ends_s = CLOCK.monotonic_s() + last - CLOCK.utc_now().timestamp()
        await asyncio.sleep(max(0.0, ends_s - CLOCK.monotonic_s()))
        await eventually(is_over)
        await here.nothing_comes()
        print("last packet after the end, s:",  # noqa: T201
              round(here.relay.publication().last_packet_mono_s - ends_s, 2))  # fmt: skip

        async def is_kept():
            return all(lock.endswith("-seen") for lock in locks(here.box))

        await eventually(is_kept)
        before = here.relay.packets()
        here.core().kill()  # what is over stays over, also when its words come again
        await asyncio.to_thread(here.box.until, lambda s: camera_in(s, "gate")["is_recording"])
        word = Outgoing(district_topic(call.site), sign(call, here.center.district.key))
        await here.center.district._publish(word)
        await here.nothing_comes()
        assert here.relay.packets() == before
        assert sessions(here.box) == []


async def goes_on(here, announced):
    async def does():
        held = sessions(here.box)
        return here.relay.relay.announced_total >= announced and held and held[0]["called"]

    await eventually(does)
    await here.packets_come()
