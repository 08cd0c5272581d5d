"""Moves a camera by hand from the center: leases it at the first step, then signs step after step.

A lease is short and asked for anew while steps come, so who lets go holds nobody up for long.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from joserfc.jwk import OctKey

from agent.commands.ptz_key import KeyOffer, sign_step
from agent.contract.commands import Actor, Args, Reply
from agent.contract.ptz import PtzStep
from agent.contract.ptz_args import PtzLease
from agent.contract.topics import BoxAddress, Channel
from agent.core.clock import Clock
from agent.core.component import Service
from agent.uplink.link import Outgoing

LEASE_S = 20.0
_RENEW_S = 6.0  # with so little left the next step asks for more
Order = Callable[[BoxAddress, Args, Actor], AsyncIterator[Reply]]
Publish = Callable[[Outgoing], Awaitable[None]]


@dataclass(slots=True)
class _Hold:
    """A lease that was granted; `seq` is of the last step."""

    lease: str
    key: OctKey
    until_mono_s: float
    seq: int = 0


class Joystick(Service):
    """One operator's hand on any number of cameras."""

    name = "center.joystick"

    def __init__(self, clock: Clock, order: Order, publish: Publish) -> None:
        super().__init__(clock)
        self._order, self._publish = order, publish
        self._holds: dict[tuple[BoxAddress, str], _Hold] = {}
        self._asking = asyncio.Lock()
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        self._holds.clear()
        async with asyncio.TaskGroup() as self._tasks:
            await asyncio.Event().wait()

    async def steer(
        self, address: BoxAddress, camera_id: str, by: Actor, step: PtzStep
    ) -> Reply | None:
        """Move by `step`, whose `seq` is set here. Return the box's reply if a lease was asked for.

        Raises `LinkError` when the broker can't be told now.
        """
        where, answer = (address, camera_id), None
        async with self._asking:
            hold = self._holds.get(where)
            left_s = 0.0 if hold is None else hold.until_mono_s - self._clock.monotonic_s()
            is_stop = step.pan == step.tilt == step.zoom == 0.0
            if left_s < _RENEW_S and not is_stop:
                answer = await self._lease(address, camera_id, by)
                hold = self._holds.get(where)
        if hold is not None:
            hold.seq += 1
            told = PtzStep(seq=hold.seq, pan=step.pan, tilt=step.tilt, zoom=step.zoom)
            token = sign_step(told, hold.lease, hold.key)
            await self._publish(Outgoing(address.topic(Channel.COMMAND), token))
        return answer

    async def _lease(self, address: BoxAddress, camera_id: str, by: Actor) -> Reply:
        """Ask for the camera; return the reply that grants or refuses it."""
        assert self._tasks is not None, "run() first"  # noqa: S101  a mistake in the program
        offer, granted = KeyOffer(), asyncio.get_running_loop().create_future()
        args = PtzLease(camera_id=camera_id, key=offer.public, ttl_s=LEASE_S)
        self._tasks.create_task(self._follow((address, camera_id), offer, args, by, granted))
        reply: Reply = await granted
        return reply

    async def _follow(
        self,
        where: tuple[BoxAddress, str],
        offer: KeyOffer,
        args: PtzLease,
        by: Actor,
        granted: "asyncio.Future[Reply]",
    ) -> None:
        """Hear the lease out to its end."""
        hold: _Hold | None = None
        async for reply in self._order(where[0], args, by):
            result = reply.result or {}
            if hold is None and "key" in result:
                lease = str(result["lease"])
                until_s = self._clock.monotonic_s() + args.ttl_s
                hold = _Hold(lease, offer.step_key(str(result["key"]), lease), until_s)
                self._holds[where] = hold
            if not granted.done() and (hold is not None or reply.state.is_final):
                granted.set_result(reply)
        if hold is None or self._holds.get(where) is hold:
            self._holds.pop(where, None)
