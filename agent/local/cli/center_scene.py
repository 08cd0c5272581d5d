"""`poleside center talk|sign`: the stand-in is heard, and writes, at the scene."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.local.cli.center_link import broker_options
from agent.local.cli.center_order import give, occasion_options

if TYPE_CHECKING:
    from agent.contract.commands import Actor
    from agent.settings.model import BrokerSettings
    from agent.simulators.center.granting import Occasion


@click.command()
@broker_options
@occasion_options
@click.argument("box")
@click.argument("source_url")
@click.option("--camera", default="", help="Through its loudspeaker; else the box's own.")
@click.option("--seconds", "for_s", default=60.0, show_default=True, help="At most.")
def talk(
    link: "BrokerSettings",
    site: str,
    data_dir: Path,
    occasion: "Occasion",
    by: "Actor",
    box: str,
    source_url: str,
    camera: str,
    for_s: float,
) -> None:
    """Let a voice be heard at BOX: an audio file, or somebody who speaks now, from SOURCE_URL.

    \b
    poleside center talk bx-0417 https://center.example/leave-the-river.wav --camera gate

    Exit code 0 when it was said.
    """
    told = {"op": "talk", "camera_id": camera, "source_url": source_url, "for_s": for_s}
    sys.exit(give(link, data_dir, site, box, told, by, occasion))


@click.command()
@broker_options
@occasion_options
@click.argument("box")
@click.argument("sign_id")
@click.argument("text")
@click.option("--seconds", "for_s", type=float, help="Else as long as the box allows.")
def sign(
    link: "BrokerSettings",
    site: str,
    data_dir: Path,
    occasion: "Occasion",
    by: "Actor",
    box: str,
    sign_id: str,
    text: str,
    for_s: float | None,
) -> None:
    """Show TEXT on a sign of BOX for a time; "" makes it dark.

    \b
    poleside center sign bx-0417 front "TURN BACK" --seconds 300 --audience 119 --reason flood
    """
    told: dict[str, Any] = {"op": "sign", "sign_id": sign_id, "text": text}
    told |= {"for_s": for_s} if for_s else {}
    sys.exit(give(link, data_dir, site, box, told, by, occasion))
