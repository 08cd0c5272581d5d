"""`ptz.lease` and `ptz.release`: who holds a camera, and the steps that move it meanwhile.

One lease a camera. A higher purpose, then a higher priority, takes it over; everybody else is
refused until it ends, and told who has it. Its holder takes it anew for as much; but what waits by
itself, as an incident session does, never takes from an equal, or two would do so in turns. The
order lasts as long as the lease: its `progress` grants, and tells of a forbidden sector; its final
reply says how it ended. Steps are neither journalled nor answered. However a lease ends, the camera
is told to stop; and without the next step the camera's gate stops it after a second.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import get_args

from joserfc.jwk import OctKey

from agent.cameras.gate import CameraGate
from agent.commands.ptz_key import KeyOffer, lease_of, read_step
from agent.commands.registry import Progress
from agent.contract.commands import Actor, Command
from agent.contract.ptz import STEP_LASTS_S, PtzStep
from agent.contract.ptz_args import PtzLease, PtzPurpose, PtzRelease
from agent.core import log
from agent.core.clock import Clock
from agent.core.errors import CommandError, PolesideError

GateOf = Callable[[str], CameraGate]
_LINK_LOOK_S = 0.1
_LADDER = get_args(PtzPurpose)


@dataclass(slots=True)
class Lease:
    """One holder of one camera. `ended` gets the reason; `seq` is of the last step taken."""

    lease_id: str
    camera_id: str
    holder: Actor
    rank: tuple[int, int]  # purpose, then priority; higher wins
    until_mono_s: float
    key: OctKey | None = None  # without one it is not moved by steps
    waits: bool = False  # it is asked for again and again, until it is had
    moves: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)
    ended: asyncio.Future[str] = field(default_factory=asyncio.Future)
    seq: int = 0
    steps: int = 0
    problem: str = ""  # of the last step
    forbidden_steps: int = 0  # runs of steps that would have led into a forbidden sector

    def end(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)


class Leases:
    """All leases of the box. `link_is_up` is asked: whoever steers must be able to."""

    def __init__(self, clock: Clock, gate_of: GateOf, link_is_up: Callable[[], bool]) -> None:
        self._clock, self._gate_of, self._link_is_up = clock, gate_of, link_is_up
        self._by_camera: dict[str, Lease] = {}
        self._ended_mono_s: dict[str, float] = {}
        self._touring: set[str] = set()
        self._log = log.get("ptz.lease")

    async def lease(self, command: Command, progress: Progress) -> dict[str, object]:
        """Hold the camera until the lease ends; return how it ended."""
        args = command.args
        if not isinstance(args, PtzLease):
            raise CommandError("command.wrong_handler", f"{command.op} leases no camera.")
        offer = KeyOffer()
        lease = self.claim(command, args.camera_id, args.purpose, args.priority, args.ttl_s)
        lease.key = offer.step_key(args.key, command.id)
        async with self.held(lease) as preempted:
            answer: dict[str, object] = {
                "lease": command.id,
                "key": offer.public,
                "ttl_s": args.ttl_s,
                "preempted": preempted,
            }
            await progress("granted", answer)
            lease.moves.create_task(self._tell_of_sectors(lease, progress))
            reason = await self.until_ended(lease)
        return {"ended": reason, "steps": lease.steps}

    def claim(
        self,
        command: Command,
        camera_id: str,
        purpose: PtzPurpose,
        priority: int,
        ttl_s: float,
        *,
        waits: bool = False,
    ) -> Lease:
        """Return a lease as `held` takes it, for the one who orders."""
        lease = self.lease_for(command.by, command.id, camera_id, purpose, priority, ttl_s)
        lease.waits = waits
        return lease

    def lease_for(
        self,
        holder: Actor,
        lease_id: str,
        camera_id: str,
        purpose: PtzPurpose,
        priority: int,
        ttl_s: float,
    ) -> Lease:
        """Return a lease as `held` takes it, for anybody, the box itself too."""
        until_s = self._clock.monotonic_s() + ttl_s
        rank = (_LADDER.index(purpose), priority)
        return Lease(lease_id, camera_id, holder, rank, until_s)

    @asynccontextmanager
    async def held(self, lease: Lease) -> AsyncIterator[str | None]:
        """Hold the camera for the length of a `with` block; give what was pre-empted.

        Raises `CommandError` `ptz.taken`.
        """
        camera_id, gate = lease.camera_id, self._gate_of(lease.camera_id)
        preempted = self._take(lease)
        failure: PolesideError | None = None
        async with lease.moves:
            try:
                if preempted:
                    await self._brake(camera_id, gate)
                yield preempted
            except PolesideError as error:  # a task group would wrap it
                failure = error
            finally:
                lease.end("stopped")
                if self._by_camera.get(camera_id) is lease:
                    del self._by_camera[camera_id]
                    self._ended_mono_s[camera_id] = self._clock.monotonic_s()
                    await self._brake(camera_id, gate)
        if failure is not None:
            raise failure

    async def until_ended(self, lease: Lease, *, needs_link: bool = True) -> str:
        """Wait until a lease is over; return why. A hand far away `needs_link`."""
        while (left_s := lease.until_mono_s - self._clock.monotonic_s()) > 0:
            if needs_link and not self._link_is_up():
                return "link lost"
            await asyncio.wait([lease.ended], timeout=min(left_s, _LINK_LOOK_S))
            if lease.ended.done():
                return lease.ended.result()
        return "expired"

    async def _tell_of_sectors(self, lease: Lease, progress: Progress) -> None:
        """Tell the holder each time that the camera was kept out of a forbidden sector."""
        stops = self._sector_stops(lease.camera_id)
        told = 0
        while not lease.ended.done():
            await asyncio.wait([lease.ended], timeout=_LINK_LOOK_S)
            now = self._sector_stops(lease.camera_id)
            if now != stops or lease.forbidden_steps != told:
                stops, told = now, lease.forbidden_steps
                answer: dict[str, object] = {"lease": lease.lease_id, "code": "ptz.forbidden"}
                await progress("stopped at a forbidden sector", answer)

    def _sector_stops(self, camera_id: str) -> int:
        return self._gate_of(camera_id).sector_stops

    async def release(self, command: Command, _: Progress) -> dict[str, object]:
        """End a lease before its time; one that has ended is released already."""
        args = command.args
        if not isinstance(args, PtzRelease):
            raise CommandError("command.wrong_handler", f"{command.op} releases no camera.")
        for lease in self._by_camera.values():
            if lease.lease_id == args.lease:
                lease.end("released")
        return {"lease": args.lease}

    async def step(self, token: bytes) -> None:
        """Take a step; what is wrong with it is logged, nothing is answered."""
        lease_id = lease_of(token)
        lease = next((x for x in self._by_camera.values() if x.lease_id == lease_id), None)
        if lease is None or lease.key is None or lease.ended.done():
            self._log.info("step without a lease", lease=lease_id[:26])
            return
        try:
            step = read_step(token, lease.key, lease.seq)
        except CommandError as error:
            self._log.warning("step refused", lease=lease_id, code=error.code)
            return
        lease.seq, lease.steps = step.seq, lease.steps + 1
        lease.moves.create_task(self._move(lease, step))

    def require(self, camera_id: str, command: Command) -> None:
        """Raise `CommandError` unless the one who orders holds the camera."""
        held = self._by_camera.get(camera_id)
        if held is None:
            raise CommandError(
                "ptz.no_lease",
                f"{_who(command.by)} holds no lease of camera {camera_id}.",
                hint="Lease it with `ptz.lease` first.",
            )
        if held.holder != command.by:
            raise _taken(held, self._clock.monotonic_s())

    def is_held_by(self, camera_id: str, actor: Actor) -> bool:
        """Say whether it is this one who holds the camera."""
        held = self._by_camera.get(camera_id)
        return held is not None and held.holder == actor

    def is_free(self, camera_id: str) -> bool:
        """Say whether nobody holds the camera."""
        return camera_id not in self._by_camera

    def ended_mono_s(self, camera_id: str) -> float | None:
        """When the last lease of the camera ended; None: there was none."""
        return self._ended_mono_s.get(camera_id)

    def tours(self, camera_id: str) -> None:
        """The box itself moves the camera now: the next holder has it stopped first."""
        self._touring.add(camera_id)

    def _take(self, lease: Lease) -> str | None:
        """Make a lease the camera's; return the one it takes it from."""
        camera_id, held = lease.camera_id, self._by_camera.get(lease.camera_id)
        if held is not None and not _may_follow(lease, held):
            raise _taken(held, self._clock.monotonic_s())
        preempted = None if held is None else held.lease_id
        if held is None and camera_id in self._touring:
            preempted = "tour"
        self._touring.discard(camera_id)
        if held is not None:
            is_own = held.holder == lease.holder
            held.end("renewed" if is_own else f"preempted by {_who(lease.holder)}")
        self._by_camera[camera_id] = lease
        return preempted

    async def _brake(self, camera_id: str, gate: CameraGate) -> None:
        """Stop the camera; one that does not take it is tried again by its gate."""
        try:
            await gate.stop()
        except PolesideError as error:
            self._log.warning("stop not taken", camera=camera_id, code=error.code)

    async def _move(self, lease: Lease, step: PtzStep) -> None:
        """Hand a step to the gate; a newer one takes the place of one that waits there."""
        try:
            gate = self._gate_of(lease.camera_id)
            if step.pan == step.tilt == step.zoom == 0.0:
                await gate.stop()
            else:
                await gate.move(step.pan, step.tilt, step.zoom, STEP_LASTS_S)
        except PolesideError as error:
            if error.code == "ptz.forbidden" and lease.problem != error.code:
                lease.forbidden_steps += 1
            lease.problem = error.code
            self._log.warning("step not done", camera=lease.camera_id, code=error.code)
        else:
            lease.problem = ""


def _may_follow(lease: Lease, held: Lease) -> bool:
    """Say whether a lease may take a held camera; nobody's exercise stops his own true call."""
    if held.holder != lease.holder:
        return lease.rank > held.rank
    if lease.lease_id == held.lease_id:
        return True
    return lease.rank > held.rank if lease.waits else lease.rank >= held.rank


def _who(actor: Actor) -> str:
    return actor.agency or actor.role or actor.user


def _taken(held: Lease, now_mono_s: float) -> CommandError:
    left_s = max(0, round(held.until_mono_s - now_mono_s))
    return CommandError(
        "ptz.taken",
        f"{_who(held.holder)} holds camera {held.camera_id} for {left_s} more seconds.",
        hint="Wait, ask them to release it, or lease it for a higher purpose.",
        retryable=True,
    )
