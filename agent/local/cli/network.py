"""`poleside network show|set|confirm`: the box's own networks, on trial until confirmed."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.local.cli.answer import json_option, show
from agent.local.cli.audited import note
from agent.local.cli.box_in_reach import Box, box_options

if TYPE_CHECKING:
    from agent.local.setup.network import NetworkDesk, NetworkState

_WORDS = {
    "method": "uplink",
    "address": "address",
    "gateway": "gateway",
    "dns": "name servers",
    "ntp": "time servers",
    "cameras": "cameras' network",
    "service_port": "service port",
    "service_socket": "its socket",
    "page_from": "page open to",
}


@click.group()
def network() -> None:
    """Networks and firewall of a box with our own image, as at its page.

    \b
    poleside network show
    poleside network set --method static --address 10.0.0.17/24 --gateway 10.0.0.1
    poleside network confirm           # within five minutes, or all is as before
    """


@network.command("show", epilog="Exit code: 0, 1 when this box does not manage its network.")
@box_options
@json_option
def show_(box: Box, *, as_json: bool) -> None:
    """Show the networks in force, and how long a change on trial waits to be confirmed."""
    asyncio.run(_show(_desk(box), as_json=as_json))


@network.command("set", epilog="Exit code: 0 on trial now, 1 refused or not possible.")
@box_options
@click.option("--method", type=click.Choice(["dhcp", "static"]), help="The uplink's.")
@click.option("--address", help="With static: the box's own, as 10.0.0.17/24.")
@click.option("--gateway", help="With static.")
@click.option("--dns", multiple=True, help='A name server; may repeat, "" for none.')
@click.option("--ntp", multiple=True, help='A time server; may repeat, "" for none.')
@click.option("--cameras", help="The box's address in the cameras' network, as 10.77.0.1/24.")
@click.option("--service-port/--no-service-port", default=None, help="Is the service port open?")
@click.option("--service-socket", help='Which is it: hardware address or path; "" for none.')
@click.option("--page-from", multiple=True, help='A network the page is open to; "" for none.')
@json_option
def set_(box: Box, *, as_json: bool, **told: Any) -> None:
    """Change what is given, keep the rest; taken back unless confirmed within five minutes.

    Whatever becomes of this line meanwhile: a wrong address cuts nobody off for longer.
    """
    asyncio.run(_set(box, _desk(box), told, as_json=as_json))


@network.command(epilog="Exit code: 0 it stays, 1 nothing waits to be confirmed.")
@box_options
@json_option
def confirm(box: Box, *, as_json: bool) -> None:
    """Keep what is on trial: whoever can say this has not cut himself off."""
    asyncio.run(_confirm(box, _desk(box), as_json=as_json))


async def _set(box: Box, desk: NetworkDesk, told: dict[str, Any], *, as_json: bool) -> None:
    import msgspec

    wish = dict((await _state(desk)).network)
    for name, value in told.items():
        if isinstance(value, tuple):
            if value:
                wish[name] = [one for one in value if one]
        elif value is not None:
            wish[name] = value
    if wish.get("method") != "static":
        wish = {key: value for key, value in wish.items() if key not in ("address", "gateway")}
    await desk.put(wish)
    note(box.data_dir, "network.set", detail=msgspec.json.encode(wish).decode()[:500])
    if not as_json:
        click.echo("On trial: `poleside network confirm` within five minutes keeps it.", err=True)
    await _show(desk, as_json=as_json)


async def _confirm(box: Box, desk: NetworkDesk, *, as_json: bool) -> None:
    from agent.core.errors import SettingsError

    await _state(desk)
    if not await desk.confirm():
        raise SettingsError("network.nothing_waits", "Nothing waits to be confirmed.")
    note(box.data_dir, "network.confirm")
    show({"confirmed": True}, ["Confirmed: it stays."], as_json=as_json)


async def _show(desk: NetworkDesk, *, as_json: bool) -> None:
    from msgspec import structs

    state, left_s = await _state(desk), await desk.confirm_within_s()
    told: dict[str, Any] = {"network": state.network, "outcome": state.outcome}
    told["confirm_within_s"] = left_s
    told["sockets"] = [structs.asdict(each) for each in state.sockets]
    shown = [(word, state.network.get(name)) for name, word in _WORDS.items()]
    lines = [f"{word:<16}  {_text(value)}" for word, value in shown if value is not None]
    lines += [
        f"{'socket ' + each.name:<16}  {each.hardware}  {each.path}" for each in state.sockets
    ]
    if left_s is not None:
        lines.append(f"on trial          {math.ceil(left_s)} s left: `poleside network confirm`")
    show(told, lines, as_json=as_json)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "open" if value else "closed"
    return (", ".join(value) or "-") if isinstance(value, list) else str(value or "-")


async def _state(desk: NetworkDesk) -> NetworkState:
    from agent.core.errors import SettingsError

    state = await desk.state()
    if state is None:
        raise SettingsError(
            "network.not_managed",
            "This box does not manage its network.",
            hint="Only a box with our own image does; elsewhere use the system's own tools.",
        )
    return state


def _desk(box: Box) -> NetworkDesk:
    from agent.core.clock import SystemClock
    from agent.local.setup.network import NetworkDesk, told_by

    wishes = box.data_dir / "network"
    simulated = wishes / "run"
    return NetworkDesk(
        wishes, told_by(simulated if simulated.is_dir() else Path("/run")), SystemClock()
    )
