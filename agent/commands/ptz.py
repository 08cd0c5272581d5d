"""`ptz.move` and `ptz.stop`: how a command becomes a moving camera."""

from collections.abc import Awaitable, Callable

from agent.cameras.gate import CameraGate
from agent.contract.commands import Command, PtzMove, PtzStop
from agent.core.errors import CommandError


class PtzHandler:
    """Hands moves to the camera's gate, which also stops the camera when nobody else does."""

    def __init__(self, gate_of: Callable[[str], CameraGate | None]) -> None:
        self._gate_of = gate_of

    async def __call__(
        self, command: Command, _progress: Callable[[str], Awaitable[None]]
    ) -> dict[str, object]:
        match command.args:
            case PtzMove() as move:
                gate = self._gate(move.camera_id)
                outcome = await gate.move(move.pan, move.tilt, move.zoom, move.timeout_s)
                return {"camera_id": move.camera_id, "outcome": str(outcome)}
            case PtzStop() as stop:
                gate = self._gate(stop.camera_id)
                return {"camera_id": stop.camera_id, "outcome": str(await gate.stop())}
            case _:
                raise CommandError("command.wrong_handler", f"{command.op} moves no camera.")

    def _gate(self, camera_id: str) -> CameraGate:
        gate = self._gate_of(camera_id)
        if gate is None:
            raise CommandError(
                "ptz.no_onvif",
                f"Camera {camera_id} is not known here or has no `onvif_url`.",
                hint="Give the camera's ONVIF address in the settings file at the box.",
            )
        return gate
