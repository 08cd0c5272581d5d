"""What a head must do in time: Stop past whatever hangs, and home within ten seconds of a lease.

Time is a clock that the test moves, or an order of things on the wire; never this machine's.
"""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from agent.app.ptz_minder import PtzMinder
from agent.cameras.gate import CameraGate
from agent.commands import ptz_lease
from agent.commands.ptz_key import KeyOffer
from agent.commands.ptz_lease import Leases
from agent.contract.commands import Actor, Command
from agent.contract.ptz_args import PtzLease, PtzRelease
from agent.core.clock import SystemClock
from agent.core.ids import new_ulid
from agent.settings.model import CameraSettings
from tests.fake_clock import FakeClock
from tests.hostile_answers import NO_ANSWER
from tests.simulated_onvif import control_of, eventually, running_camera

HOME_S = 10.0
STOP_S = 0.25
KIM, LEE = Actor(user="kim"), Actor(user="lee")
ENDS = ("released", "link lost", "expired", "preempted", "cancelled")


class Rig:
    """A camera, its gate, and leases that live by a clock of the test."""

    def __init__(self, camera):
        self.camera, self.clock = camera, FakeClock()
        self.gate = CameraGate(lambda: control_of(camera, call_s=60.0), SystemClock(), answer_s=60)
        self.is_linked, self.looks_while_lost = True, 0
        self.leases = Leases(self.clock, lambda _: self.gate, self._look)
        self._runs = []

    def _look(self):
        self.looks_while_lost += not self.is_linked
        return self.is_linked

    def _command(self, args, by):
        at = self.clock.utc_now()
        return Command(id=new_ulid(at), args=args, box="b", by=by, iat=0, nbf=0, exp=0, iss="c")

    async def lease(self, by=KIM, priority=5):
        granted = asyncio.Event()

        async def progress(*_):
            granted.set()

        key = KeyOffer().public
        args = PtzLease(camera_id="gate", key=key, priority=priority, ttl_s=30.0)
        command = self._command(args, by)
        run = asyncio.create_task(self.leases.lease(command, progress))
        self._runs.append(run)
        waiting = asyncio.create_task(granted.wait())
        await asyncio.wait([run, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        return command.id, run

    def end(self, how, lease):
        """Let the lease end; what follows is for the box to do."""
        lease_id, run = lease
        match how:
            case "released":
                args = PtzRelease(lease=lease_id)
                self._runs.append(
                    asyncio.create_task(self.leases.release(self._command(args, KIM), None))
                )
            case "link lost":
                self.is_linked = False
            case "expired":
                self.clock.pass_s(30.0)
            case "preempted":
                self._runs.append(asyncio.create_task(self.lease(LEE, priority=9)))
            case "cancelled":  # as when the box ends
                run.cancel()

    async def close(self):
        for run in self._runs:
            run.cancel()
        await asyncio.gather(*self._runs, return_exceptions=True)
        await self.gate.close()
        # Its threads may still be looking whether the camera stands, which goes away next.
        await asyncio.to_thread(self.gate._lane.shutdown, wait=True)
        await asyncio.to_thread(self.gate._stopper._thread.join)


@asynccontextmanager
async def rig_of():
    async with running_camera() as camera:
        rig = Rig(camera)
        try:
            yield rig
        finally:
            await rig.close()


@asynccontextmanager
async def hanging(rig):
    """Hold a call to the camera: it is under way, and the camera does not answer it."""
    rig.camera.faults.slow_s = {"GetDeviceInformation": 3600.0}
    call = asyncio.create_task(rig.gate.facts())
    await eventually(lambda: rig.camera.calls[-1] == "GetDeviceInformation")
    try:
        yield call
    finally:
        rig.camera.faults.slow_s = {}
        for connection in tuple(rig.camera._http._connections):
            connection.cancel()
        await asyncio.gather(call, return_exceptions=True)


@pytest.mark.parametrize("how", ENDS)
async def test_however_a_lease_ends_stop_is_on_the_wire_while_another_call_hangs(how):
    async with rig_of() as rig:
        await rig.gate.facts()
        rig.camera.faults.ignores_move_timeout = True
        lease = await rig.lease()
        await rig.gate.move(0.1, 0.0, 0.0, 60.0)
        stops = rig.camera.calls.count("Stop")
        async with hanging(rig) as call:
            rig.end(how, lease)
            await eventually(lambda: rig.camera.calls.count("Stop") > stops)
            assert not call.done()
            await eventually(lambda: not rig.camera.motor.is_moving)
            assert not call.done()
    # The first look sees the loss; all that is left of the quarter second is for the wire.
    assert rig.looks_while_lost <= 1
    assert ptz_lease._LINK_LOOK_S <= STOP_S / 2


async def _s_until(rig, minder, happened):
    """Let time pass in the steps of the box, each done to its end; return how much it took."""
    began_s = rig.clock.monotonic_s()
    while not happened() and rig.clock.monotonic_s() < began_s + 4 * HOME_S:
        await rig.clock.advance(0.5)
        await eventually(lambda: all(h.busy is None or h.busy.done() for h in minder))
    assert happened()
    return rig.clock.monotonic_s() - began_s


@asynccontextmanager
async def minded(rig):
    camera = CameraSettings(camera_id="gate", onvif_url=rig.camera.url)
    minder = PtzMinder((camera,), lambda _: rig.gate, rig.leases, rig.clock)
    work = asyncio.create_task(minder.run())
    try:
        yield minder._heads.values()
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


@pytest.mark.parametrize("how", [how for how in ENDS if how != "preempted"])
async def test_however_a_lease_ends_the_head_is_on_its_way_home_within_ten_seconds(how):
    async with rig_of() as rig, minded(rig) as heads:
        lease = await rig.lease()
        await rig.gate.move(0.3, 0.0, 0.0, 60.0)
        rig.end(how, lease)
        await eventually(lambda: rig.leases.is_free("gate") and not rig.camera.motor.is_moving)
        assert "GotoHomePosition" not in rig.camera.calls
        took_s = await _s_until(rig, heads, lambda: "GotoHomePosition" in rig.camera.calls)
        assert took_s <= HOME_S
        await eventually(lambda: rig.camera.motor.position().pan == 0.0)


async def test_a_first_try_that_fails_leaves_time_for_a_second_one():
    failures = iter(["error page", None, None])
    page = NO_ANSWER["an error page"]
    async with rig_of() as rig, minded(rig) as heads:
        rig.camera.faults.spoils = {
            "GotoHomePosition": lambda good: page(good) if next(failures) else replace(good)
        }
        lease = await rig.lease()
        rig.end("released", lease)
        await eventually(lambda: rig.leases.is_free("gate"))
        calls = rig.camera.calls
        took_s = await _s_until(rig, heads, lambda: calls.count("GotoHomePosition") == 2)
        assert took_s <= HOME_S


async def test_a_new_holder_in_that_time_is_not_sent_home():
    async with rig_of() as rig, minded(rig) as heads:
        rig.end("released", await rig.lease())
        await eventually(lambda: rig.leases.is_free("gate"))
        await rig.clock.advance(2.0)
        lease = await rig.lease(LEE)
        await rig.clock.advance(2 * HOME_S)
        await eventually(lambda: all(h.busy is None or h.busy.done() for h in heads))
        assert "GotoHomePosition" not in rig.camera.calls
        rig.end("cancelled", lease)
