"""The core's side of the set-up pages' questions to cameras: workers, gates, audited orders."""

from agent.app.camera_desk import CameraDesk
from agent.app.worker_hub import WorkerHub
from agent.cameras.gate import CameraGate
from agent.commands.aim import Aimer
from agent.commands.ptz_lease import Leases
from agent.commands.registry import Commands
from agent.contract.camera_args import CameraMasks
from agent.contract.commands import Actor, Args, Reply, ReplyState
from agent.contract.ptz_args import PtzGoto, PtzMove, PtzPlace
from agent.core.clock import Clock
from agent.core.errors import CameraError, CommandError
from agent.core.ids import new_ulid
from agent.local.access.people import Person
from agent.messages.worker import AimReading
from agent.pointing.aim import Reach
from agent.pointing.centring import axes_of, fov_deg, turn_to
from agent.settings.model import Settings
from agent.settings.rules import Point
from agent.settings.stand import StandSettings

_MOVE_S, _HOLD_S, _LOOK_S = 0.4, 8.0, 0.3
_ASPECT = 16 / 9
_SMALL_PX, _SMALL_BYTES = 160, 32 * 1024  # the page has the picture already
_SOMEWHERE = StandSettings(lat=0.0, lon=0.0)  # for the lens's usual width


class SetupCameras:
    """Implements `agent.local.setup.cameras.Cameras`; what moves or changes is journalled."""

    def __init__(
        self,
        hub: WorkerHub,
        desk: CameraDesk,
        commands: Commands,
        leases: Leases,
        aimer: Aimer,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._hub, self._desk, self._commands = hub, desk, commands
        self._leases, self._aimer = leases, aimer
        self._box, self._clock = settings.box, clock

    async def aim(self, camera_id: str) -> AimReading | None:
        try:
            reply = await self._hub.picture(camera_id, _SMALL_PX, _SMALL_BYTES, is_aiming=True)
        except CameraError:
            return None
        return reply.aim

    def can_turn(self, camera_id: str) -> bool:
        return self._desk.movable_gate(camera_id) is not None

    async def looks_at(self, camera_id: str) -> tuple[float, float]:
        at = await self._gate(camera_id).position()
        if at.pan is None or at.tilt is None:
            raise CommandError("aim.no_positions", "The camera does not tell where it looks.")
        return at.pan, at.tilt

    async def turn(self, camera_id: str, pan: float, tilt: float, zoom: float, by: Person) -> None:
        move = PtzMove(
            camera_id=camera_id,
            pan=pan,
            tilt=tilt,
            zoom=zoom,
            timeout_s=_MOVE_S,
            purpose="operator",
        )
        await self._order(move, by)

    async def centre(self, camera_id: str, at: Point, by: Person) -> None:
        gate = self._gate(camera_id)
        facts, now = await gate.head(lambda head: head.facts()), await gate.position()
        if facts.pan is None or facts.tilt is None or now.tilt is None:
            raise CommandError("aim.no_positions", "The camera can't be sent to a position.")
        stand = self._aimer.stands.get(camera_id, _SOMEWHERE)
        zoom = (facts.zoom.low, facts.zoom.high) if facts.zoom else (0.0, 0.0)
        reach = Reach(
            (facts.pan.low, facts.pan.high),
            (facts.tilt.low, facts.tilt.high),
            zoom,
            stand.wide_deg,
            stand.tele_deg,
        )
        by_pan, by_tilt = turn_to(at, _ASPECT, fov_deg(now.zoom, reach), now.tilt, axes_of(reach))
        actor = actor_of(by)
        lease_id = new_ulid(self._clock.utc_now())
        lease = self._leases.lease_for(actor, lease_id, camera_id, "operator", 5, _HOLD_S)
        async with self._leases.held(lease):
            turn = PtzGoto(camera_id=camera_id, by=PtzPlace(pan=by_pan, tilt=by_tilt))
            await self._order(turn, by)
            await self._arrives(gate)

    async def _arrives(self, gate: CameraGate) -> None:
        """Wait until it stands: the end of a lease stops a camera."""
        until_s = self._clock.monotonic_s() + _HOLD_S
        await self._clock.sleep_s(_LOOK_S)
        while (await gate.position()).is_moving is not False:
            if self._clock.monotonic_s() >= until_s:
                return
            await self._clock.sleep_s(_LOOK_S)

    async def masks(self, camera_id: str) -> list[tuple[str, tuple[Point, ...]]]:
        from agent.cameras import overlays  # noqa: PLC0415 - lxml, ONVIF only

        found = await self._gate(camera_id).over(overlays.masks)
        return [(mask.token, mask.polygon) for mask in found]

    async def add_mask(self, camera_id: str, polygon: tuple[Point, ...], by: Person) -> None:
        await self._order(CameraMasks(camera_id=camera_id, action="add", polygon=polygon), by)

    async def remove_mask(self, camera_id: str, token: str, by: Person) -> None:
        await self._order(CameraMasks(camera_id=camera_id, action="remove", token=token), by)

    def _gate(self, camera_id: str) -> CameraGate:
        gate = self._desk.gate(camera_id)
        if gate is None:
            raise CommandError("ptz.no_onvif", f"Camera {camera_id} has no `onvif_url`.")
        return gate

    async def _order(self, args: Args, by: Person) -> Reply:
        reply = await self._commands.order(args, actor_of(by), self._box)
        if reply.state is not ReplyState.DONE:
            raise CommandError(reply.code, reply.message, hint=reply.hint)
        return reply


def actor_of(by: Person) -> Actor:
    """Return who orders, as the journal and the chain name somebody at the page."""
    return Actor(user=f"page:{by.name}", role=by.role.value)
