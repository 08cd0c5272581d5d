"""`poleside center incident`: the stand-in calls a district's boxes to a place."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.contract.events import CapStatus
from agent.contract.grants import AnkletTrigger, Audience, Reason
from agent.contract.incidents import IncidentKind
from agent.core.errors import SettingsError
from agent.local.cli.answer import always_json
from agent.local.cli.center_link import broker_options
from agent.local.cli.center_sink import sink_options

if TYPE_CHECKING:
    from agent.contract.commands import Reply
    from agent.contract.incidents import IncidentCall
    from agent.settings.model import BrokerSettings


@click.command()
@broker_options
@click.argument("box")
@click.argument("lat", type=float)
@click.argument("lon", type=float)
@click.option("--kind", type=click.Choice([x.value for x in IncidentKind]), default="fire")
@click.option("--reason", type=click.Choice([x.value for x in Reason]), default="fire")
@click.option("--trigger", default="", type=click.Choice(["", *(x.value for x in AnkletTrigger)]))
@click.option("--status", type=click.Choice([x.value for x in CapStatus]), default="Test")
@click.option("--audience", type=click.Choice([x.value for x in Audience]), default="119")
@click.option("--incident", default="trial", show_default=True, help="The case; audited.")
@click.option("--radius", "radius_m", default=0.0, help="Metres around that belong to it.")
@click.option("--accuracy", "accuracy_m", default=5.0, show_default=True, help="Of it, in metres.")
@click.option("--follow", is_flag=True, help="It moves: cameras are made ready ahead.")
@click.option("--then", multiple=True, help="LAT,LON where it is next, with --follow; may repeat.")
@click.option("--every", "every_s", type=click.FloatRange(0.2), default=1.0, show_default=True)
@click.option("--silence", "silence_s", default=30.0, show_default=True, help="Then it is lost.")
@click.option("--camera", "cameras", multiple=True, help="BOX may turn and show it; may repeat.")
@sink_options("The relay, as in `center grant`; may be left out.", required=False)
@click.option("--seconds", type=click.FloatRange(1, 3600), default=30.0, show_default=True)
@click.option("--user", default="operator", show_default=True, help="On whose order; audited.")
@always_json
def incident(
    link: "BrokerSettings",
    site: str,
    data_dir: Path,
    box: str,
    seconds: float,
    then: tuple[str, ...],
    every_s: float,
    **told: Any,
) -> None:
    """Call all boxes of the site to LAT LON, print what BOX answers, one JSON object a line.

    \b
    poleside center incident bx-0417 37.5665 126.9780
    poleside center incident bx-0417 37.5665 126.9780 --camera gate --seconds 60
    poleside center incident bx-0417 37.5665 126.9780 --kind escort --reason escort-home
        --follow --then 37.5665,126.9782 --then 37.5665,126.9784 --every 5

    Without --camera boxes only say which cameras see the place, and keep their last minute.
    """
    from agent.contract.topics import BoxAddress
    from agent.core import log
    from agent.core.clock import SystemClock
    from agent.simulators.center.guest import Guest

    log.configure("center", "error")
    call = _call(site, box, told)
    guest = Guest(SystemClock(), link, data_dir, BoxAddress(site, box))
    asyncio.run(guest.call(call, seconds, _show, [_place(one) for one in then], every_s))


def _place(text: str) -> tuple[float, float]:
    try:
        lat, lon = (float(part) for part in text.split(","))
    except ValueError as error:
        raise SettingsError(
            "order.malformed", f"`{text}` is no place.", hint="Give LAT,LON in degrees."
        ) from error
    return lat, lon


def _show(reply: "Reply") -> None:
    result = dict(reply.result or {})
    for one in result.get("candidates", ()):
        one.pop("jpeg", None)
    line = {"state": reply.state.value, "code": reply.code, "message": reply.message, **result}
    click.echo(json.dumps(line, default=str))


def _call(site: str, box: str, told: dict[str, Any]) -> "IncidentCall":
    import msgspec

    from agent.contract.grants import LONGEST_S
    from agent.contract.incidents import IncidentCall
    from agent.core.clock import SystemClock
    from agent.core.ids import new_ulid

    now = SystemClock().utc_now()
    span = {"iat": (at := int(now.timestamp())), "exp": at + LONGEST_S}
    names = (
        "lat",
        "lon",
        "kind",
        "reason",
        "trigger",
        "status",
        "audience",
        "incident",
        "radius_m",
        "accuracy_m",
        "follow",
        "silence_s",
    )
    wanted: dict[str, Any] = {name: told[name] for name in names} | span
    wanted |= {"id": new_ulid(now), "seq": 1, "site": site, "iss": site}
    wanted["by"] = {"user": told["user"], "role": "operator", "case": told["incident"]}
    if told["cameras"]:
        allows = ["ptz", "snapshot", *(["live"] if told["sink"] else [])]
        grant = {name: told[name] for name in ("reason", "trigger", "status", "audience")}
        grant |= {"id": new_ulid(now), "box": box, "incident": told["incident"], "what": allows}
        grant |= {"purpose": "called by hand", "cameras": told["cameras"], "on_call": True}
        grant |= {"nbf": span["iat"], "exp": span["exp"]}
        grant |= {"sink": told["sink"]} if told["sink"] else {}
        wanted["grants"] = [grant]
    try:
        return msgspec.convert(wanted, IncidentCall)
    except msgspec.ValidationError as error:
        raise SettingsError(
            "order.malformed", f"The call can't be made: {error}.", hint="See `--help`."
        ) from error
