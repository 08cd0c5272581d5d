"""`ptz.move` and `ptz.stop`: how a command becomes a moving camera."""

from collections.abc import Awaitable, Callable

from agent.cameras.gate import CameraGate
from agent.commands.ptz_lease import GateOf, Leases
from agent.contract.commands import Command
from agent.contract.ptz_args import PtzMove, PtzPurpose, PtzStop
from agent.core.errors import CommandError

Note = Callable[[str, str, str, str], Awaitable[None]]  # (operation, actor, outcome, detail)


async def _not_noted(_op: str, _actor: str, _outcome: str, _detail: str) -> None: ...


class PtzHandler:
    """Hands moves to the camera's gate, which also stops the camera when nobody else does.

    Only who holds the camera moves it, if only for this one move; everybody may stop it.
    """

    def __init__(self, gate_of: GateOf, leases: Leases, note: Note = _not_noted) -> None:
        """`note` audits a lease that was taken for one move."""
        self._gate_of, self._leases, self._note = gate_of, leases, note

    async def __call__(
        self, command: Command, _progress: Callable[[str], Awaitable[object]]
    ) -> dict[str, object]:
        match command.args:
            case PtzMove() as move:
                gate = self._gate_of(move.camera_id)
                is_held = self._leases.is_held_by(move.camera_id, command.by)
                if move.purpose is not None and not is_held:
                    return await self._lease_and_move(command, move, move.purpose, gate)
                self._leases.require(move.camera_id, command)
                outcome = await gate.move(move.pan, move.tilt, move.zoom, move.timeout_s)
                return {"camera_id": move.camera_id, "outcome": str(outcome)}
            case PtzStop() as stop:
                gate = self._gate_of(stop.camera_id)
                return {"camera_id": stop.camera_id, "outcome": str(await gate.stop())}
            case _:
                raise CommandError("command.wrong_handler", f"{command.op} moves no camera.")

    async def _lease_and_move(
        self, command: Command, move: PtzMove, purpose: PtzPurpose, gate: CameraGate
    ) -> dict[str, object]:
        """Hold the camera for this one move; return when it is over."""
        lease = self._leases.claim(command, move.camera_id, purpose, command.prio, move.timeout_s)
        by, what = command.by.user, f"for one move of {move.camera_id}, as {purpose}, {command.id}"
        async with self._leases.held(lease) as preempted:
            await self._note("ptz.lease", by, "granted", f"{move.timeout_s:g} s {what}")
            stops = gate.sector_stops
            outcome = await gate.move(move.pan, move.tilt, move.zoom, move.timeout_s)
            ended = await self._leases.until_ended(lease, needs_link=command.iss != "local")
        await self._note("ptz.lease", by, "ended", f"{ended}, {what}")
        result: dict[str, object] = {
            "camera_id": move.camera_id,
            "outcome": str(outcome),
            "lease": command.id,
            "preempted": preempted,
            "ended": ended,
        }
        return result | ({"code": "ptz.forbidden"} if gate.sector_stops != stops else {})


def gates_for_orders(gate_of: Callable[[str], CameraGate | None]) -> GateOf:
    """Return `gate_of` as orders need it: a camera without a gate is a `CommandError`."""

    def gate(camera_id: str) -> CameraGate:
        found = gate_of(camera_id)
        if found is None:
            raise CommandError(
                "ptz.no_onvif",
                f"Camera {camera_id} is not known here or has no `onvif_url`.",
                hint="Give the camera's ONVIF address in the settings file at the box.",
            )
        return found

    return gate
