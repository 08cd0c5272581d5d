"""`poleside center grant`: the stand-in lets somebody see a box's camera for a time."""

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.contract.grants import AnkletTrigger, Audience, GrantLimits, Quality, Reason
from agent.core.errors import SettingsError
from agent.local.cli.answer import always_json
from agent.local.cli.center_link import broker_options
from agent.local.cli.center_sink import sink_options

if TYPE_CHECKING:
    from agent.contract.commands import Args, Reply
    from agent.settings.model import BrokerSettings


@click.command()
@broker_options
@click.argument("box")
@click.option("--camera", "cameras", multiple=True, required=True, help="May repeat.")
@click.option("--audience", required=True, type=click.Choice([word.value for word in Audience]))
@click.option("--reason", required=True, type=click.Choice([word.value for word in Reason]))
@sink_options("rtsp(s):// or rtmp(s)://relay/path; {camera}: the id.")
@click.option("--trigger", default="", type=click.Choice(["", *(x.value for x in AnkletTrigger)]))
@click.option("--quality", default="main", type=click.Choice([word.value for word in Quality]))
@click.option("--max-kbps", default=0, help="0 sets no limit.")
@click.option("--minutes", type=click.FloatRange(0, 60, min_open=True), default=10.0)
@click.option("--incident", default="trial", show_default=True, help="The case; audited.")
@click.option("--purpose", default="shown live", show_default=True)
@click.option("--user", default="operator", show_default=True, help="On whose order; audited.")
@always_json
def grant(
    link: "BrokerSettings",
    site: str,
    data_dir: Path,
    box: str,
    cameras: tuple[str, ...],
    audience: str,
    reason: str,
    sink: dict[str, str],
    trigger: str,
    quality: str,
    max_kbps: int,
    minutes: float,
    incident: str,
    purpose: str,
    user: str,
) -> None:
    """Have BOX push a camera to a relay for a time, and print its replies.

    \b
    poleside center grant bx-0417 --camera gate --audience 119 --reason fire
        --sink rtsps://relay.city.example/gate

    It ends by itself; `poleside center grants BOX --end ID` ends it before.
    Exit code 0 when the box took it, 1 otherwise.
    """
    import msgspec

    from agent.contract.commands import GiveGrant
    from agent.core.clock import SystemClock
    from agent.core.ids import new_ulid

    now = SystemClock().utc_now()
    at = int(now.timestamp())
    wanted = {
        "id": new_ulid(now),
        "box": box,
        "incident": incident,
        "audience": audience,
        "purpose": purpose,
        "reason": reason,
        "what": ["live"],
        "cameras": list(cameras),
        "nbf": at,
        "exp": at + max(1, round(minutes * 60)),
        "limits": msgspec.to_builtins(GrantLimits(max_kbps=max_kbps, quality=Quality(quality))),
        "sink": sink,
        "trigger": trigger,
    }
    try:
        args = msgspec.convert({"op": "grant.give", "grant": wanted}, GiveGrant)
    except msgspec.ValidationError as error:
        raise SettingsError(
            "order.malformed", f"The grant can't be made: {error}.", hint="See `--help`."
        ) from error
    click.echo(json.dumps({"grant": wanted["id"]}))
    last = _order(link, data_dir, site, box, args, user, incident)
    sys.exit(0 if last.state.value == "done" else 1)


def _order(
    link: "BrokerSettings",
    data_dir: Path,
    site: str,
    box: str,
    args: "Args",
    user: str,
    case: str,
) -> "Reply":
    import msgspec

    from agent.contract.commands import Actor
    from agent.contract.topics import BoxAddress
    from agent.core import log
    from agent.core.clock import SystemClock
    from agent.simulators.center.guest import Guest

    log.configure("center", "error")

    async def give() -> "Reply":
        guest = Guest(SystemClock(), link, data_dir, BoxAddress(site, box))
        by = Actor(user=user, role="operator", case=case)
        return await guest.order(
            args, by, 20.0, lambda reply: click.echo(msgspec.json.encode(reply).decode())
        )

    return asyncio.run(give())
