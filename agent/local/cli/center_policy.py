"""`poleside center policy|grants`: what the stand-in allows in advance, and what it takes back."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.contract.grants import Audience, Quality, Reason
from agent.local.cli.answer import always_json
from agent.local.cli.center_link import broker_options
from agent.local.cli.center_order import give
from agent.local.cli.center_sink import sink_options

if TYPE_CHECKING:
    from agent.settings.model import BrokerSettings

_DAY_S = 86_400


@click.group()
def policy() -> None:
    """Standing policies: what a box may show by itself on alarms of its own, also offline."""


@policy.command(name="give")
@broker_options
@click.argument("box")
@click.option("--kind", "kinds", multiple=True, required=True, help="Of alarm or call; may repeat.")
@click.option("--zone", "zones", multiple=True, help="A rule's id; may repeat. Else anywhere.")
@click.option("--hours", multiple=True, help="As 22:00-06:00, local time; may repeat. Else always.")
@click.option("--camera", "cameras", multiple=True, help="Else the one that raised the alarm.")
@click.option("--audience", required=True, type=click.Choice([one.value for one in Audience]))
@click.option("--reason", required=True, type=click.Choice([one.value for one in Reason]))
@sink_options("The relay, with {camera} in its path.")
@click.option("--quality", default="main", type=click.Choice([one.value for one in Quality]))
@click.option("--max-kbps", default=0, help="0 sets no limit.")
@click.option("--seconds", "lasts_s", default=600, show_default=True, help="From the alarm on.")
@click.option("--days", type=click.FloatRange(0, 400, min_open=True), default=30.0)
@click.option("--purpose", default="seen at once when it happens", show_default=True)
@click.option("--user", default="operator", show_default=True, help="On whose order; audited.")
@always_json
def give_(
    link: "BrokerSettings",
    site: str,
    data_dir: Path,
    box: str,
    quality: str,
    max_kbps: int,
    days: float,
    user: str,
    **wanted: Any,
) -> None:
    """Let BOX push a camera to a relay by itself when an alarm of some kind begins.

    \b
    poleside center policy give bx-0417 --kind intrusion --hours 22:00-06:00 --audience 112
        --reason crime --sink rtsps://relay.city.example/{camera}
    """
    from agent.core.clock import SystemClock
    from agent.core.ids import new_ulid

    now = SystemClock().utc_now()
    at = int(now.timestamp())
    wanted |= {"id": new_ulid(now), "box": box, "nbf": at, "exp": at + round(days * _DAY_S)}
    wanted |= {"limits": {"max_kbps": max_kbps, "quality": quality}}
    sys.exit(_give(link, data_dir, site, box, user, {"op": "policy.give", "policy": wanted}))


@policy.command()
@broker_options
@click.argument("box")
@click.argument("policy_id")
@click.option("--user", default="operator", show_default=True, help="On whose order; audited.")
@always_json
def end(
    link: "BrokerSettings", site: str, data_dir: Path, box: str, policy_id: str, user: str
) -> None:
    """Take a policy back, and what it allowed."""
    told = {"op": "policy.end", "policy_id": policy_id}
    sys.exit(_give(link, data_dir, site, box, user, told))


@policy.command(name="list")
@broker_options
@click.argument("box")
@always_json
def list_(link: "BrokerSettings", site: str, data_dir: Path, box: str) -> None:
    """Show the policies that hold at BOX."""
    sys.exit(_give(link, data_dir, site, box, "operator", {"op": "policy.list"}))


@click.command()
@broker_options
@click.argument("box")
@click.option("--end", "grant_id", default="", help="End this one before its time.")
@click.option("--user", default="operator", show_default=True, help="On whose order; audited.")
@always_json
def grants(
    link: "BrokerSettings", site: str, data_dir: Path, box: str, grant_id: str, user: str
) -> None:
    """Show the grants that hold at BOX and what was sent under each, or end one.

    \b
    poleside center grants bx-0417
    poleside center grants bx-0417 --end 01JD8Z3V7K5M2Q9W4R6T8Y0B1C
    """
    told = {"op": "grant.end", "grant_id": grant_id} if grant_id else {"op": "grant.list"}
    sys.exit(_give(link, data_dir, site, box, user, told))


def _give(
    link: "BrokerSettings", data_dir: Path, site: str, box: str, user: str, told: dict[str, Any]
) -> int:
    from agent.contract.commands import Actor
    from agent.simulators.center.granting import Occasion

    return give(link, data_dir, site, box, told, Actor(user=user, role="operator"), Occasion())
