"""`camera.aim`: a place on the map becomes pan, tilt and zoom of a camera, held meanwhile."""

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from agent.cameras.gate import CameraGate
from agent.cameras.port import Place as HeadPlace
from agent.commands.ptz_lease import GateOf, Leases
from agent.commands.registry import Progress
from agent.contract.commands import Command
from agent.contract.ptz_args import CameraAim
from agent.core.errors import CommandError, PolesideError
from agent.pointing.aim import Aim, Pointing, Reach
from agent.pointing.geodesy import Place, distance_m
from agent.pointing.stand import eye_of, pointing_of
from agent.settings.model import CameraSettings
from agent.settings.stand import StandSettings

if TYPE_CHECKING:
    from agent.cameras.ptz_head import HeadFacts


class Aimer:
    """Turns cameras towards places. It asks nobody: whoever uses it holds the camera."""

    def __init__(
        self,
        gate_of: GateOf,
        cameras: Iterable[CameraSettings],
        is_movable: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._gate_of, self._is_movable = gate_of, is_movable
        self.use(cameras)

    def use(self, cameras: Iterable[CameraSettings]) -> None:
        """Take the cameras' settings over."""
        self.stands = {one.camera_id: one.stand for one in cameras if one.stand is not None}

    def movable(self) -> set[str]:
        """Return the cameras with a stand that say that they can be moved."""
        return {camera_id for camera_id in self.stands if self._is_movable(camera_id)}

    async def azimuth_deg(self, camera_id: str) -> float | None:
        """Return where a camera looks now, clockwise from north; None when nobody can tell."""
        try:
            pointing = pointing_of(camera_id, self.stands.get(camera_id))
            at = await self._gate_of(camera_id).position()
        except PolesideError:
            return None
        if at.pan is None or at.tilt is None:
            return None
        east, north, _ = pointing.mount.toward(at.pan, at.tilt)
        return math.degrees(math.atan2(east, north)) % 360.0

    async def aim(
        self, camera_id: str, place: Place, area_m: float, *, has_height: bool = True
    ) -> dict[str, object]:
        """Turn the camera; return where it looks, by which means, and how sure that is.

        Raises `CommandError` aim.no_stand, calibration, too_near, out_of_reach, ptz.forbidden.
        """
        gate = self._gate_of(camera_id)
        planned = await self._planned(gate, camera_id, place, area_m, has_height=has_height)
        if planned is None:
            stand = self.stands.get(camera_id)
            return await _by_the_camera(gate, place, area_m, stand, has_height=has_height)
        pointing, aim = planned
        outcome = await gate.go(lambda head: head.goto(HeadPlace(aim.pan, aim.tilt, aim.zoom)))
        return {"by": "calibration", "outcome": str(outcome), **_told(pointing, aim)}

    async def try_out(
        self, camera_id: str, place: Place, area_m: float, *, has_height: bool = True
    ) -> dict[str, object]:
        """Return where `aim` would turn the camera; it stays where it is. Raises as `aim` does."""
        gate = self._gate_of(camera_id)
        planned = await self._planned(gate, camera_id, place, area_m, has_height=has_height)
        if planned is None:
            return {"by": "geo-move"}
        pointing, aim = planned
        await gate.head(lambda head: head.check_place(HeadPlace(aim.pan, aim.tilt, aim.zoom)))
        return {"by": "calibration", **_told(pointing, aim)}

    async def _planned(
        self, gate: CameraGate, camera_id: str, place: Place, area_m: float, *, has_height: bool
    ) -> tuple[Pointing, Aim] | None:
        """Return where our own mathematics say it should turn; None: it has a map of its own."""
        stand = self.stands.get(camera_id)
        facts = await gate.head(lambda head: head.facts())
        if facts.knows_the_map:
            return None
        pointing = pointing_of(camera_id, stand)
        assert stand is not None  # noqa: S101 - else it could not be fitted
        if not has_height:
            ground_m = pointing.ground_m(place)
            place = Place(place.lat_deg, place.lon_deg, ground_m)
        now = await gate.position()
        return pointing, pointing.aim(place, area_m, _reach(facts, stand), now.pan)


class AimHandler:
    """Who holds the camera aims with it; who does not is given it for a while, by purpose."""

    def __init__(self, aimer: Aimer, leases: Leases) -> None:
        self._aimer, self._leases = aimer, leases

    async def __call__(self, command: Command, progress: Progress) -> dict[str, object]:
        args = command.args
        if not isinstance(args, CameraAim):
            raise CommandError("command.wrong_handler", f"{command.op} aims no camera.")
        if self._leases.is_held_by(args.camera_id, command.by):
            return await self._aim(args)
        lease = self._leases.claim(
            command, args.camera_id, args.purpose, args.priority, args.hold_s
        )
        async with self._leases.held(lease) as preempted:
            aimed = await self._aim(args)
            await progress("aimed", aimed | {"lease": command.id, "preempted": preempted})
            # who stands at the box needs no line to the center
            ended = await self._leases.until_ended(lease, needs_link=command.iss != "local")
        return aimed | {"ended": ended}

    async def _aim(self, args: CameraAim) -> dict[str, object]:
        place = Place(args.lat, args.lon, args.height_m or 0.0)
        has_height = args.height_m is not None
        aimed = await self._aimer.aim(args.camera_id, place, args.area_m, has_height=has_height)
        return {"camera_id": args.camera_id, **aimed}


async def _by_the_camera(
    gate: CameraGate,
    place: Place,
    area_m: float,
    stand: StandSettings | None,
    *,
    has_height: bool,
) -> dict[str, object]:
    """Let the camera do it; its word for the height is metres above the ellipsoid."""
    height_m = place.height_m if has_height else None
    outcome = await gate.go(
        lambda head: head.geo_move(place.lat_deg, place.lon_deg, height_m, area_m)
    )
    told: dict[str, object] = {"by": "geo-move", "outcome": str(outcome)}
    if stand is not None:
        told["range_m"] = round(distance_m(place, eye_of(stand)), 1)
    return told


def _reach(facts: "HeadFacts", stand: StandSettings) -> Reach:
    """Return what the head can do; forbidden sectors are the gate's own business."""
    pan, tilt, zoom = facts.pan, facts.tilt, facts.zoom
    if pan is None or tilt is None:
        raise CommandError(
            "aim.no_positions",
            "The camera can't be sent to a position.",
            hint="Move it by hand; only cameras with absolute positions can be aimed.",
        )
    return Reach(
        (pan.low, pan.high),
        (tilt.low, tilt.high),
        (0.0, 0.0) if zoom is None else (zoom.low, zoom.high),
        stand.wide_deg,
        stand.tele_deg,
    )


def _told(pointing: Pointing, aim: Aim) -> dict[str, object]:
    return {
        "pan": round(aim.pan, 5),
        "tilt": round(aim.tilt, 5),
        "zoom": round(aim.zoom, 4),
        "fov_deg": round(aim.fov_deg, 1),
        "range_m": round(aim.range_m, 1),
        "model": pointing.mount.model,
        "residual_deg": round(pointing.mount.residual_deg, 3),
    }
