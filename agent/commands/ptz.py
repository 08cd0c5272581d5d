"""`ptz.move` and `ptz.stop`: how a command becomes a moving camera."""

from collections.abc import Awaitable, Callable

from agent.cameras.gate import CameraGate
from agent.commands.ptz_lease import GateOf, Leases
from agent.contract.commands import Command
from agent.contract.ptz_args import PtzMove, PtzStop
from agent.core.errors import CommandError


class PtzHandler:
    """Hands moves to the camera's gate, which also stops the camera when nobody else does.

    Who holds a lease is not moved away from; everybody may stop a camera.
    """

    def __init__(self, gate_of: GateOf, leases: Leases) -> None:
        self._gate_of, self._leases = gate_of, leases

    async def __call__(
        self, command: Command, _progress: Callable[[str], Awaitable[None]]
    ) -> dict[str, object]:
        match command.args:
            case PtzMove() as move:
                self._leases.check(move.camera_id, command)
                gate = self._gate_of(move.camera_id)
                outcome = await gate.move(move.pan, move.tilt, move.zoom, move.timeout_s)
                return {"camera_id": move.camera_id, "outcome": str(outcome)}
            case PtzStop() as stop:
                gate = self._gate_of(stop.camera_id)
                return {"camera_id": stop.camera_id, "outcome": str(await gate.stop())}
            case _:
                raise CommandError("command.wrong_handler", f"{command.op} moves no camera.")


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
