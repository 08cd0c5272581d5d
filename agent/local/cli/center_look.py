"""`poleside center search|ptz|aim`: the stand-in looks for somebody, and turns a box's camera."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from agent.contract.ptz_args import PtzPurpose
from agent.local.cli.center_link import broker_options
from agent.local.cli.center_order import give, occasion_options
from agent.local.cli.time_range import time_range

if TYPE_CHECKING:
    from agent.contract.commands import Actor
    from agent.settings.model import BrokerSettings
    from agent.simulators.center.granting import Occasion

_SPEED = click.FloatRange(-1, 1)
_purpose = click.option(
    "--for",
    "purpose",
    default="operator",
    show_default=True,
    type=click.Choice(get_args(PtzPurpose)),
    help="Who holds the camera for more is not disturbed.",
)


@click.command()
@broker_options
@occasion_options
@click.argument("box")
@click.option("--camera", "camera_id", default="", help="Else all cameras of the box.")
@click.option("--from", "since", help="ISO 8601, UTC unless it says otherwise.")
@click.option("--to", "until")
@click.option("--last", "last_s", type=float, help="The last so many seconds.")
@click.option("--class", "label", default="", help="A class of the detector, or ONVIF's word.")
@click.option("--upper", default="", help="Colour of the upper clothes.")
@click.option("--lower", default="", help="Colour of the lower clothes.")
@click.option("--bag", default="", type=click.Choice(["", "backpack", "handbag", "suitcase"]))
@click.option("--hat", default="", help="Colour of a cap or helmet.")
@click.option("--size", default="", type=click.Choice(["", "small", "medium", "large"]))
@click.option("--direction", default="", help="still, right, away, left or toward.")
@click.option("--subject", default="", help="An id that an event or another answer gave.")
@click.option("--limit", default=50, show_default=True)
@click.option("--watch", "watch_s", default=0.0, help="Tell what is seen for so many seconds.")
def search(
    link: "BrokerSettings",
    site: str,
    data_dir: Path,
    occasion: "Occasion",
    by: "Actor",
    box: str,
    since: str | None,
    until: str | None,
    last_s: float | None,
    **wanted: Any,
) -> None:
    """Ask BOX who and what was seen, and print its replies.

    \b
    poleside center search bx-0417 --last 600 --class person --upper red
        --audience 112 --reason missing-person
    """
    told: dict[str, Any] = {"op": "search"} | {k: v for k, v in wanted.items() if v}
    if since or until or last_s is not None:
        told["start_at"], told["end_at"] = time_range(since, until, last_s)
    if wanted["watch_s"]:
        told["incident_id"] = by.case
    sys.exit(give(link, data_dir, site, box, told, by, occasion))


@click.command()
@broker_options
@occasion_options
@_purpose
@click.argument("box")
@click.argument("camera_id")
@click.option("--pan", type=_SPEED, default=0.0, help="Share of full speed, right is positive.")
@click.option("--tilt", type=_SPEED, default=0.0, help="… up is positive.")
@click.option("--zoom", type=_SPEED, default=0.0, help="… nearer is positive.")
@click.option("--seconds", "timeout_s", default=1.0, show_default=True)
@click.option("--stop", "is_stop", is_flag=True, help="Stop it, whoever moves it.")
def ptz(
    link: "BrokerSettings",
    site: str,
    data_dir: Path,
    occasion: "Occasion",
    by: "Actor",
    box: str,
    camera_id: str,
    purpose: str,
    timeout_s: float,
    *,
    is_stop: bool,
    **speeds: float,
) -> None:
    """Move CAMERA_ID of BOX for a moment, or stop it, and print the replies.

    \b
    poleside center ptz bx-0417 gate --pan 0.5
    poleside center ptz bx-0417 gate --stop
    """
    told: dict[str, Any] = {"op": "ptz.stop", "camera_id": camera_id}
    if not is_stop:
        told |= {"op": "ptz.move", "purpose": purpose, "timeout_s": timeout_s} | speeds
    sys.exit(give(link, data_dir, site, box, told, by, occasion))


@click.command()
@broker_options
@occasion_options
@_purpose
@click.argument("box")
@click.argument("camera_id")
@click.argument("lat", type=float)
@click.argument("lon", type=float)
@click.option("--height", "height_m", type=float, help="Metres; else the ground's there.")
@click.option("--area", "area_m", default=20.0, show_default=True, help="How wide, in metres.")
@click.option("--hold", "hold_s", default=20.0, show_default=True, help="Seconds it stays there.")
def aim(
    link: "BrokerSettings",
    site: str,
    data_dir: Path,
    occasion: "Occasion",
    by: "Actor",
    box: str,
    **wanted: Any,
) -> None:
    """Turn CAMERA_ID of BOX towards a place, and print the replies.

    \b
    poleside center aim bx-0417 gate 37.5665 126.9780 --audience 119 --reason fire --for 119
    """
    told = {"op": "camera.aim"} | wanted
    sys.exit(give(link, data_dir, site, box, told, by, occasion))
