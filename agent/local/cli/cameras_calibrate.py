"""`poleside cameras calibrate`: landmarks on the map teach a PTZ camera where it looks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.local.cli.answer import show
from agent.local.cli.cameras_target import Target, target_options

if TYPE_CHECKING:
    from agent.settings.stand import StandSettings


class _Place(click.ParamType[tuple[float, float, float]]):
    name = "LAT,LON,HEIGHT"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, float, float]:
        try:
            lat, lon, height_m = (float(part) for part in str(value).split(","))
        except ValueError:
            self.fail("give three numbers: latitude,longitude,height in metres", param, ctx)
        return lat, lon, height_m


@click.command()
@target_options
@click.argument("notes", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--lens", type=_Place(), help="Where the lens is; needed once.")
@click.option("--above-ground", default=5.0, show_default=True, help="The lens's height there.")
@click.option("--mark", type=_Place(), help="The landmark in the middle of the picture now.")
@click.option("--name", default="", help="What it is.")
def calibrate(
    target: Target,
    notes: Path,
    lens: tuple[float, float, float] | None,
    above_ground: float,
    mark: tuple[float, float, float] | None,
    name: str,
    *,
    as_json: bool,
) -> None:
    """Note in the file NOTES where the camera looks, and fit what was noted so far.

    Centre a landmark in the picture, say where it is, and go on to the next; the height is the
    ground's there, on one scale with the lens's. Four all around the pole are good.

    \b
    poleside cameras calibrate 192.168.1.64 gate.json --lens 37.5665,126.9780,46 --user admin
        --mark 37.56651,126.97802,40 --name "corner of the kiosk"

    From three on it says how well they fit, and prints the line for the settings.
    """
    import msgspec

    from agent.core.errors import CommandError
    from agent.pointing.stand import pointing_of
    from agent.settings.stand import LandmarkSettings

    stand = _stand(notes, lens, above_ground)
    if mark is not None:
        control = target.control()
        try:
            at = control.position()
        finally:
            control.close()
        if at.pan is None or at.tilt is None:
            raise CommandError("aim.no_positions", "The camera does not tell where it looks.")
        seen = LandmarkSettings(
            name=name, lat=mark[0], lon=mark[1], height_m=mark[2], pan=at.pan, tilt=at.tilt
        )
        stand = msgspec.structs.replace(stand, landmarks=(*stand.landmarks, seen))
        notes.write_bytes(msgspec.json.format(msgspec.json.encode(stand)))
    answer: dict[str, Any] = {"landmarks": len(stand.landmarks)}
    lines = [f"{len(stand.landmarks)} landmarks noted; three at least are needed, better four."]
    if len(stand.landmarks) >= 3:
        mount = pointing_of("", stand).mount
        answer |= {"model": mount.model, "residual_deg": round(mount.residual_deg, 3)}
        answer["errors_deg"] = [round(error, 3) for error in mount.errors_deg]
        lines = [
            f"They fit within {mount.residual_deg:.2f} deg (model `{mount.model}`).",
            *(
                f"  {error:6.2f} deg  {one.name or f'{one.lat}, {one.lon}'}"
                for one, error in zip(stand.landmarks, mount.errors_deg, strict=True)
            ),
            "For the camera's entry in the settings:",
            f"stand = {_inline(msgspec.to_builtins(stand))}",
        ]
    show(answer, lines, as_json=as_json)


def _stand(
    notes: Path, lens: tuple[float, float, float] | None, above_ground: float
) -> StandSettings:
    import msgspec

    from agent.settings.stand import StandSettings

    if notes.exists():
        known = msgspec.json.decode(notes.read_bytes(), type=StandSettings)
        if lens is None:
            return known
        lat, lon, height_m = lens
        return msgspec.structs.replace(known, lat=lat, lon=lon, height_m=height_m)
    if lens is None:
        raise click.UsageError("say where the lens is (--lens) the first time")
    lat, lon, height_m = lens
    return StandSettings(lat=lat, lon=lon, height_m=height_m, above_ground_m=above_ground)


def _inline(value: Any) -> str:
    """Write a value as TOML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_inline(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
