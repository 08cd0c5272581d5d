"""`poleside center playback`: the stand-in has a box show recorded video at a relay."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.core.errors import SettingsError
from agent.local.cli.center_link import broker_options
from agent.local.cli.center_order import give, occasion_options
from agent.local.cli.center_sink import sink_options
from agent.local.cli.time_range import time_range

if TYPE_CHECKING:
    from agent.contract.commands import Actor
    from agent.settings.model import BrokerSettings
    from agent.simulators.center.granting import Occasion


@click.command()
@broker_options
@occasion_options
@click.argument("box")
@click.option("--camera", required=True)
@click.option("--from", "since", help="ISO 8601, UTC unless it says otherwise.")
@click.option("--to", "until")
@click.option("--last", "last_s", type=float, help="The last so many seconds.")
@click.option("--stream", default="auto", type=click.Choice(["auto", "main", "sub"]))
@sink_options("rtsp(s):// or rtmp(s)://relay/path.")
def playback(
    link: "BrokerSettings",
    site: str,
    data_dir: Path,
    occasion: "Occasion",
    by: "Actor",
    box: str,
    camera: str,
    since: str | None,
    until: str | None,
    last_s: float | None,
    stream: str,
    sink: dict[str, str],
) -> None:
    """Have BOX show recorded video of a camera at a relay, and print its replies.

    \b
    poleside center playback bx-0417 --camera gate --last 60 --audience 112 --reason crime
        --sink rtsps://relay.city.example/gate

    The grant it rests on is made with it, for this span alone. Exit code 0 when all was shown, 3
    when all was that the box could read: `holes` in its reply tells the rest.
    """
    import msgspec

    from agent.contract.grants import Sink

    begin, end = time_range(since, until, last_s)
    try:
        relay = msgspec.convert(sink, Sink)
    except msgspec.ValidationError as error:
        raise SettingsError(
            "order.malformed", f"No relay: {error}.", hint="See `--help`."
        ) from error
    told = {"op": "playback", "camera_id": camera, "start_at": begin, "end_at": end}
    sys.exit(give(link, data_dir, site, box, told | {"stream": stream}, by, occasion, relay))
