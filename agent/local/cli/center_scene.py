"""`poleside center talk|sign`: the stand-in is heard, and writes, at the scene."""

import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

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
@click.argument("source")
@click.option("--camera", default="", help="Through its loudspeaker; else the box's own.")
@click.option("--seconds", "for_s", default=60.0, show_default=True, help="At most.")
@click.option("--live", is_flag=True, help="SOURCE speaks now: what comes late is left out.")
@click.option(
    "--source-ca", type=click.File("r"), help="PEM of who vouches for an https:// SOURCE."
)
@click.option("--listen", default="127.0.0.1:8482", show_default=True, help="FILE is heard at.")
@click.option("--reached-as", "base_url", default="", help="By the box; else as --listen.")
def talk(
    link: "BrokerSettings",
    site: str,
    data_dir: Path,
    occasion: "Occasion",
    by: "Actor",
    box: str,
    source: str,
    camera: str,
    for_s: float,
    source_ca: IO[str] | None,
    listen: str,
    base_url: str,
    *,
    live: bool,
) -> None:
    """Let a voice be heard at BOX: from SOURCE, a URL, a sound file here, or `mic` (arecord).

    \b
    poleside center talk bx-0417 https://center.example/leave-the-river.wav --camera gate
    poleside center talk bx-0417 rtsps://center.example/desk-3 --live --camera gate
    poleside center talk bx-0417 mic --reached-as http://center.example:8482 --camera gate

    A file and `mic` are spoken by this command, live: as long as it runs. Exit code 0 when it was
    said.
    """
    told: dict[str, Any] = {"op": "talk", "camera_id": camera, "source_url": source}
    told |= {"for_s": for_s, "live": live, "ca": source_ca.read() if source_ca else ""}
    voice = None
    if "://" not in source:
        from agent.core.clock import SystemClock
        from agent.simulators.center.live_voice import LiveVoice

        voice = LiveVoice(SystemClock(), source, listen, base_url)
        told |= {"source_url": voice.url, "live": True}
    sys.exit(give(link, data_dir, site, box, told, by, occasion, voice=voice))


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
