"""`ptz.goto`, `ptz.presets`, `ptz.imaging`, `ptz.aux`: what the holder of a camera may order."""

from agent.cameras.gate import CameraGate
from agent.cameras.port import Place
from agent.commands.ptz_lease import GateOf, Leases
from agent.commands.registry import Progress
from agent.contract.commands import Command
from agent.contract.ptz_args import PtzAux, PtzGoto, PtzImaging, PtzPlace, PtzPresets
from agent.core.clock import Clock
from agent.core.errors import CommandError

_AUXILIARIES = {"wiper": "Wiper", "washer": "Washer", "ir-lamp": "IRLamp"}
_FOCUS_SPEEDS = {"near": -0.5, "far": 0.5}


class PtzOrders:
    """Only who holds the lease may change anything; everybody may look."""

    def __init__(self, gate_of: GateOf, leases: Leases, clock: Clock) -> None:
        self._gate_of, self._leases, self._clock = gate_of, leases, clock

    async def __call__(self, command: Command, _: Progress) -> dict[str, object]:
        args = command.args
        if not isinstance(args, PtzGoto | PtzPresets | PtzImaging | PtzAux):
            raise CommandError("command.wrong_handler", f"{command.op} moves no camera.")
        gate = self._gate_of(args.camera_id)
        if not _only_looks(args):
            self._leases.require(args.camera_id, command)
        match args:
            case PtzGoto():
                result = await _goto(gate, args)
            case PtzPresets():
                result = await _presets(gate, args)
            case PtzImaging():
                result = await self._imaging(gate, args)
            case PtzAux():
                what, state = _AUXILIARIES[args.what], args.state.capitalize()
                await gate.head(lambda head: head.auxiliary(what, state))
                result = {"what": args.what, "state": args.state}
        return {"camera_id": args.camera_id, **result}

    async def _imaging(self, gate: CameraGate, args: PtzImaging) -> dict[str, object]:
        from agent.cameras import imaging  # noqa: PLC0415 - lxml, ONVIF only
        from agent.cameras.media import AskedGot  # noqa: PLC0415

        wish = imaging.ImagingWish(
            exposure=args.exposure,
            exposure_us=args.exposure_us,
            gain_db=args.gain_db,
            focus=args.focus if args.focus in ("auto", "manual") else "",
            ir_cut=args.ir_cut,
            wdr=args.wdr,
        )
        if args.focus in ("near", "far", "stop"):
            speed = _FOCUS_SPEEDS.get(args.focus, 0.0)
            try:
                if speed:
                    await gate.over(lambda line: imaging.focus(line, speed))
                    await self._clock.sleep_s(args.for_s)
            finally:
                await gate.over(lambda line: imaging.focus(line, 0.0))
        done: tuple[AskedGot, ...] = ()
        if wish != imaging.ImagingWish():
            done = await gate.over(lambda line: imaging.change(line, wish))
        now = await gate.over(imaging.settings)
        changed = [{"name": one.name, "asked": one.asked, "got": one.got} for one in done]
        return {"settings": now, "changed": changed}


def _only_looks(args: PtzGoto | PtzPresets | PtzImaging | PtzAux) -> bool:
    if isinstance(args, PtzPresets):
        return args.action == "list"
    return isinstance(args, PtzImaging) and args == PtzImaging(
        camera_id=args.camera_id, for_s=args.for_s
    )


async def _goto(gate: CameraGate, args: PtzGoto) -> dict[str, object]:
    if args.to is not None:
        to = _place(args.to)
        outcome = await gate.go(lambda head: head.goto(to))
    elif args.by is not None:
        by = _place(args.by)
        outcome = await gate.go(lambda head: head.turn(by))
    elif args.preset:
        outcome = await gate.go(lambda head: head.goto_preset(args.preset))
    else:
        outcome = await gate.go(lambda head: head.goto_home())
    return {"outcome": str(outcome)}


async def _presets(gate: CameraGate, args: PtzPresets) -> dict[str, object]:
    if args.action == "set":
        kept = await gate.head(lambda head: head.set_preset(args.name, args.preset))
        return {"preset": kept.token, "name": kept.name}
    if args.action == "remove":
        await gate.head(lambda head: head.remove_preset(args.preset))
        return {"preset": args.preset}
    if args.action == "set-home":
        await gate.head(lambda head: head.set_home())
        return {"home": True}
    found = await gate.head(lambda head: head.presets())
    return {
        "presets": [
            {
                "preset": one.token,
                "name": one.name,
                "pan": one.place.pan,
                "tilt": one.place.tilt,
                "zoom": one.place.zoom,
            }
            for one in found
        ]
    }


def _place(told: PtzPlace) -> Place:
    return Place(told.pan, told.tilt, told.zoom)
