"""A camera moved by hand: leased by a signed order, moved by small steps nobody can forge."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from agent.cameras.gate import CameraGate
from agent.cameras.zeep_backend import ZeepCamera
from agent.commands.ptz import PtzHandler, gates_for_orders
from agent.commands.ptz_key import KeyOffer, read_step, sign_step
from agent.contract.commands import Actor, ReplyState
from agent.contract.ptz import PtzStep
from agent.contract.ptz_args import PtzLease, PtzMove, PtzRelease
from agent.contract.topics import Channel
from agent.core.clock import SystemClock
from agent.core.errors import CommandError
from agent.simulators.broker import CENTER
from agent.simulators.center.commander import public_keys_file
from agent.simulators.center.joystick import LEASE_S
from agent.uplink.link import Outgoing
from tests.brokers import Mosquitto
from tests.simulated_onvif import LOGIN, running_camera
from tests.spine import ADDRESS, Box, eventually, make_center, running

KIM = Actor(user="kim", role="operator", agency="city")
LEE = Actor(user="lee", role="officer", agency="police")


class Desk:
    """A center, a box and a camera, and an operator's joystick."""

    def __init__(self, center, box, camera, broker):
        self.center, self.box, self.camera, self.broker = center, box, camera, broker

    async def lease(self, by, priority=5, ttl_s=60.0):
        """Ask for the camera; return (lease, step key, replies still to come)."""
        offer, told = KeyOffer(), []
        args = PtzLease(camera_id="gate", key=offer.public, priority=priority, ttl_s=ttl_s)
        granted = asyncio.Event()

        async def listen():
            async for reply in self.center.command(ADDRESS, args, by):
                told.append(reply)
                if reply.result or reply.state.is_final:
                    granted.set()

        task = asyncio.create_task(listen())
        await granted.wait()
        if told[-1].state is ReplyState.FAILED:
            await task
            return told[-1], None, None
        answer = told[-1].result
        return answer["lease"], offer.step_key(answer["key"], answer["lease"]), (task, told)

    async def step(self, token):
        await self.center._link.publish(Outgoing(ADDRESS.topic(Channel.COMMAND), token))

    async def is_moving(self):
        return self.camera.motor.is_moving

    async def is_still(self):
        return not self.camera.motor.is_moving

    async def order(self, args, by):
        return [reply async for reply in self.center.command(ADDRESS, args, by)][-1]


@asynccontextmanager
async def desk_at(tmp_path):
    broker = Mosquitto(tmp_path / "broker", [ADDRESS])
    await broker.start()
    box = Box(tmp_path, broker.settings("box-1"), keys_file=public_keys_file(tmp_path))
    clock = SystemClock()
    try:
        async with running_camera() as camera:
            gate = CameraGate(lambda: ZeepCamera(camera.url, LOGIN, clock), clock)
            box.gates["gate"] = gate
            ptz = PtzHandler(gates_for_orders(box.gates.get), box.leases)
            register = box.commands.register
            register("ptz.move", ptz, idempotent=False)
            register("ptz.lease", box.leases.lease, idempotent=False, deadline_s=150, lasts=True)
            register("ptz.release", box.leases.release, idempotent=True)
            async with running(make_center(tmp_path, broker.settings(CENTER))) as center:
                async with running(box):
                    yield Desk(center, box, camera, broker)
                await gate.close()
    finally:
        await broker.stop()


async def test_a_leased_camera_follows_the_steps_and_stops_at_release(tmp_path):
    async with desk_at(tmp_path) as desk:
        lease, key, (listening, told) = await desk.lease(KIM)
        await desk.step(sign_step(PtzStep(seq=1, pan=1.0), lease, key))
        await eventually(desk.is_moving)
        await eventually(desk.is_still)  # no further step: the camera stops by itself

        for seq in range(2, 6):
            await desk.step(sign_step(PtzStep(seq=seq, pan=0.5), lease, key))
        await eventually(desk.is_moving)
        assert (await desk.order(PtzRelease(lease=lease), KIM)).state is ReplyState.DONE
        await listening
        assert (told[-1].state, told[-1].result["ended"]) == (ReplyState.DONE, "released")
        assert told[-1].result["steps"] == 5
        await eventually(desk.is_still)


async def test_the_centers_joystick_leases_at_the_first_step_and_lets_go(tmp_path):
    async with desk_at(tmp_path) as desk:
        left, still = PtzStep(seq=1, pan=-0.5), PtzStep(seq=1)
        granted = await desk.center.steer(ADDRESS, "gate", KIM, left)
        assert granted.result["ttl_s"] == LEASE_S
        assert await desk.center.steer(ADDRESS, "gate", KIM, left) is None
        await eventually(desk.is_moving)
        assert await desk.center.steer(ADDRESS, "gate", KIM, still) is None
        await eventually(desk.is_still)

        _, key, (police, _) = await desk.lease(LEE, priority=8)
        assert key is not None
        refused = None
        while refused is None:  # the end of our lease may still be on its way
            refused = await desk.center.steer(ADDRESS, "gate", KIM, left)
        assert refused.code == "ptz.taken"
        police.cancel()


async def test_a_higher_priority_takes_the_camera_and_both_are_told(tmp_path):
    async with desk_at(tmp_path) as desk:
        first, first_key, (listening, told) = await desk.lease(KIM, priority=5)
        refused, _, _ = await desk.lease(LEE, priority=5)
        assert refused.code == "ptz.taken"
        assert "city" in refused.message

        second, key, (police, _) = await desk.lease(LEE, priority=8)
        await listening
        assert told[-1].result["ended"] == "preempted by police"
        await desk.step(sign_step(PtzStep(seq=1, pan=1.0), first, first_key))
        assert (await desk.order(PtzMove(camera_id="gate", pan=1.0), KIM)).code == "ptz.taken"
        assert await desk.is_still()
        await desk.step(sign_step(PtzStep(seq=1, pan=1.0), second, key))
        await eventually(desk.is_moving)
        await desk.order(PtzRelease(lease=second), LEE)
        await police


async def test_a_lease_ends_by_time_and_by_the_loss_of_the_link(tmp_path):
    async with desk_at(tmp_path) as desk:
        _, _, (listening, told) = await desk.lease(KIM, ttl_s=0.5)
        await listening
        assert told[-1].result["ended"] == "expired"

        lease, key, (listening, told) = await desk.lease(KIM)
        await desk.step(sign_step(PtzStep(seq=1, pan=1.0), lease, key))
        await eventually(desk.is_moving)
        await desk.broker.kill()
        await eventually(desk.is_still)

        async def is_over():
            return not desk.box.leases._by_camera

        await eventually(is_over)
        await desk.broker.start()
        await listening
        assert told[-1].result["ended"] == "link lost"


async def test_forged_and_repeated_steps_move_nothing(tmp_path):
    async with desk_at(tmp_path) as desk:
        lease, key, (listening, told) = await desk.lease(KIM)
        old = sign_step(PtzStep(seq=5, pan=0.0), lease, key)
        await desk.step(old)
        eavesdropper = KeyOffer().step_key(KeyOffer().public, lease)
        for token in (
            sign_step(PtzStep(seq=9, pan=1.0), lease, eavesdropper),
            sign_step(PtzStep(seq=4, pan=1.0), lease, key),
            sign_step(PtzStep(seq=9, pan=1.0), "01JD8Z3V7K5M2Q9W4R6T8Y0B1C", key),
            old,
        ):
            await desk.step(token)
        await desk.order(PtzRelease(lease=lease), KIM)
        await listening
        assert told[-1].result["steps"] == 1
        assert await desk.is_still()


def test_a_step_is_read_with_its_own_key_and_only_once():
    here, there = KeyOffer(), KeyOffer()
    key = here.step_key(there.public, "lease")
    token = sign_step(PtzStep(seq=3, tilt=-0.5), "lease", there.step_key(here.public, "lease"))
    assert read_step(token, key, 2).tilt == -0.5
    with pytest.raises(CommandError, match="came after"):
        read_step(token, key, 3)
    with pytest.raises(CommandError, match="key"):
        here.step_key("A" * 43, "lease")
