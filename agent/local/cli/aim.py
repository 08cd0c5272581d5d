"""`poleside aim`: a camera of this box looks at a place on the map."""

from __future__ import annotations

import asyncio
import json
from getpass import getuser
from pathlib import Path
from typing import Any

import click

from agent.local.cli.box_in_reach import Box


@click.command()
@click.argument("camera_id")
@click.argument("lat", type=click.FloatRange(-90, 90))
@click.argument("lon", type=click.FloatRange(-180, 180))
@click.option("--height", "height_m", type=float, help="Metres; by default the ground's there.")
@click.option("--area", "area_m", default=20.0, show_default=True, help="How wide, in metres.")
@click.option("--hold", "hold_s", default=10.0, show_default=True, help="Seconds to hold it there.")
@click.option("--data-dir", type=click.Path(path_type=Path), default=Path("/var/lib/poleside"))
@click.option("--try", "is_try", is_flag=True, help="Tell where it would turn; it stays.")
@click.option("--json", "as_json", is_flag=True)
def aim(
    camera_id: str,
    lat: float,
    lon: float,
    height_m: float | None,
    area_m: float,
    hold_s: float,
    data_dir: Path,
    *,
    is_try: bool,
    as_json: bool,
) -> None:
    """Turn CAMERA_ID towards a place and hold it there, through the running agent.

    \b
    poleside aim gate 37.56651 126.97802
    poleside aim gate 37.56651 126.97802 --height 41 --area 10 --hold 30
    poleside aim gate 37.56651 126.97802 --try

    Nobody who holds the camera for a higher purpose is disturbed. It is journalled and audited.
    """
    from agent.commands.counter import CounterOrder, ask
    from agent.commands.questions import TryAim
    from agent.contract.commands import ReplyState
    from agent.contract.ptz_args import CameraAim
    from agent.core.clock import SystemClock
    from agent.core.errors import CommandError

    args = CameraAim(
        camera_id=camera_id, lat=lat, lon=lon, height_m=height_m, area_m=area_m, hold_s=hold_s
    )
    if is_try:
        told = Box(data_dir).ask(TryAim(args, getuser()), dict[str, Any])
        if not told["allowed"]:
            raise CommandError(told["code"], told["message"], hint=told["hint"])
    else:
        order = CounterOrder(args=args, user=getuser())
        reply = asyncio.run(ask(data_dir / "run", order, SystemClock(), hold_s))
        if reply.state is not ReplyState.DONE:
            raise CommandError(reply.code, reply.message, hint=reply.hint)
        told = reply.result or {}
    if as_json:
        click.echo(json.dumps(told))
    elif told["by"] == "geo-move":
        click.echo("The camera turns there by its own map (GeoMove).")
    else:
        click.echo(
            f"pan {told['pan']:g}, tilt {told['tilt']:g}, zoom {told['zoom']:g}: {told['range_m']}"
            f" m away, {told['fov_deg']} deg wide; its landmarks fit within"
            f" {told['residual_deg']:.2f} deg ({told['model']})"
        )
