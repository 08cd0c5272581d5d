"""However parties ask, take, give back and let lapse: one holds the camera, and it is stopped."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cameras.port import PtzPosition
from agent.cameras.ptz_sectors import Sector, Sectors
from agent.commands.ptz_key import KeyOffer
from agent.commands.ptz_lease import Leases
from agent.contract.commands import Actor, Command
from agent.contract.ptz_args import PtzLease, PtzRelease
from agent.core.errors import CommandError
from agent.core.ids import new_ulid
from tests.simulated_onvif import ShiftedClock

LADDER = ["tour", "exercise", "operator", "disaster", "119", "bell", "manual-112"]
ASK = st.tuples(st.just("ask"), st.sampled_from("abc"), st.sampled_from(LADDER), st.integers(0, 9))
ACTIONS = st.lists(st.one_of(ASK, ASK, st.just(("release",)), st.just(("lapse",))), max_size=8)


class Brakes:
    """Counts the stops a camera is sent."""

    sector_stops = 0

    def __init__(self):
        self.stops = 0

    async def stop(self):
        self.stops += 1


class World:
    def __init__(self):
        self.clock, self.brakes = ShiftedClock(), Brakes()
        self.leases = Leases(self.clock, lambda _: self.brakes, lambda: True)
        self.runs = {}  # lease id: its task

    def command(self, user, args):
        at = self.clock.utc_now()
        return Command(
            id=new_ulid(at), args=args, box="b", by=Actor(user=user), iat=0, nbf=0, exp=0, iss="c"
        )

    async def ask(self, user, purpose, priority):
        """Return the lease's id when granted, None when refused."""
        args = PtzLease(camera_id="gate", key=KeyOffer().public, purpose=purpose, priority=priority)
        command, granted = self.command(user, args), asyncio.Event()

        async def progress(_, __=None):
            granted.set()

        run = asyncio.create_task(self.leases.lease(command, progress))
        waiting = asyncio.create_task(granted.wait())
        await asyncio.wait([run, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not granted.is_set():
            assert isinstance(run.exception(), CommandError)
            assert run.exception().code == "ptz.taken"
            return None
        self.runs[command.id] = run
        return command.id

    async def ended(self, lease_id):
        return (await self.runs.pop(lease_id))["ended"]


async def play(actions):
    world, held = World(), None  # (user, rank, lease id)
    for action in actions:
        stops = world.brakes.stops
        if action[0] == "ask":
            _, user, purpose, priority = action
            rank = (LADDER.index(purpose), priority)
            is_free = held is None or rank > held[1] or (held[0] == user and rank == held[1])
            lease_id = await world.ask(user, purpose, priority)
            assert (lease_id is not None) == is_free
            if lease_id is not None:
                if held is not None:
                    told = await world.ended(held[2])
                    assert told == ("renewed" if held[0] == user else f"preempted by {user}")
                    assert world.brakes.stops > stops  # the former holder's move is not inherited
                held = (user, rank, lease_id)
        elif held is not None:
            if action[0] == "release":
                release = PtzRelease(lease=held[2])
                await world.leases.release(world.command("anyone", release), None)
            else:
                world.clock.shift_s += 61
            assert await world.ended(held[2]) == (
                "released" if action[0] == "release" else "expired"
            )
            assert world.brakes.stops > stops
            held = None
        assert world.leases.is_free("gate") == (held is None)
        assert set(world.runs) == ({held[2]} if held else set())
    if held is not None:
        await world.leases.release(world.command("anyone", PtzRelease(lease=held[2])), None)
        await world.ended(held[2])


@settings(max_examples=40, deadline=None)
@given(ACTIONS)
def test_the_highest_purpose_holds_the_camera_and_every_end_is_told_and_stops_it(actions):
    asyncio.run(play(actions))


async def test_an_exercise_does_not_stop_the_true_call_of_the_same_holder():
    world = World()
    call = await world.ask("a", "119", 5)
    assert await world.ask("a", "exercise", 5) is None
    again = await world.ask("a", "119", 5)
    assert await world.ended(call) == "renewed"
    await world.leases.release(world.command("a", PtzRelease(lease=again)), None)
    assert await world.ended(again) == "released"


number = st.floats(-1, 1, allow_nan=False)


@given(st.tuples(number, number, number, number), st.lists(number, min_size=2, max_size=30))
def test_no_way_leads_into_a_sector_and_every_way_out_is_open(box, way):
    pan_from, pan_to = sorted(box[:2])
    sector = Sector(pan_from, pan_to, -1.5, 1.5)
    sectors, at = Sectors([sector]), way[0]
    for step in way[1:]:
        to = at + step / 5
        now, later = PtzPosition(pan=at, tilt=0.0), PtzPosition(pan=to, tilt=0.0)
        before, after = sector.depth(at, 0.0), sector.depth(to, 0.0)
        if after > 0 and after >= before:
            assert sectors.forbid(now, later)
        if before > 0:
            out = pan_from - 0.1 if at - pan_from < pan_to - at else pan_to + 0.1
            assert not sectors.forbid(now, PtzPosition(pan=out, tilt=0.0))
        if not sectors.forbid(now, later):
            at = to
        assert before > 0 or sector.depth(at, 0.0) == 0


def test_a_sector_over_the_end_of_the_range_holds_on_both_sides():
    sector = Sector(pan_from=350, pan_to=10, tilt_from=-90, tilt_to=90)
    assert sector.depth(355, 0) > 0
    assert sector.depth(5, 0) > 0
    assert sector.depth(180, 0) == 0


def test_a_sector_thinner_than_a_step_is_not_jumped_over():
    left, right = PtzPosition(pan=0.0, tilt=0.0), PtzPosition(pan=0.8, tilt=0.0)
    assert Sectors([Sector(0.35, 0.48)]).forbid(left, right)


def test_a_camera_that_hides_where_it_looks_goes_nowhere_beside_a_sector():
    hidden = PtzPosition()
    assert Sectors([Sector(0.5, 0.6)]).forbid(hidden, hidden)
    assert not Sectors().forbid(hidden, hidden)
