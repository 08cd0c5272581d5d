"""`poleside center configure`: what the center wants of a box's settings, signed and retained."""

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.core.errors import SettingsError
from agent.local.cli.center_link import broker_options

if TYPE_CHECKING:
    from agent.contract.config import ConfigReport
    from agent.settings.model import BrokerSettings


@click.command()
@broker_options
@click.argument("box")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="May repeat.")
@click.option(
    "--file",
    "whole",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="JSON or TOML: all that is wanted, in place of what was wanted before.",
)
@click.option("--user", default="operator", show_default=True, help="On whose order; audited.")
@click.option("--patience-s", default=20.0, show_default=True)
@click.option("--no-cameras", is_flag=True, help="It may leave the box without any camera.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
def configure(
    link: "BrokerSettings",
    site: str,
    data_dir: Path,
    box: str,
    pairs: tuple[str, ...],
    whole: Path | None,
    user: str,
    patience_s: float,
    *,
    no_cameras: bool,
    as_json: bool,
) -> None:
    """Want other settings of BOX and print what it made of them.

    \b
    poleside center configure bx-0417 --set uploads.on_alarm='["clip"]'
    poleside center configure bx-0417 --set cameras.gate.detect_fps=3
    poleside center configure bx-0417 --set uploads.on_alarm=null      (no wish of ours any more)
    poleside center configure bx-0417 --file wanted.json

    A null in the JSON of --file removes what the box's own settings say there: its default counts.
    What would leave a box without any camera is refused unless --no-cameras says that it is meant.
    The box goes back by itself when it loses the link or a camera by it. Exit code 0 when all of
    it is in effect, 1 otherwise.
    """
    from agent.contract.commands import Actor
    from agent.contract.config import ConfigStatus
    from agent.contract.topics import BoxAddress
    from agent.core import log
    from agent.core.clock import SystemClock
    from agent.settings.load import merge_patch
    from agent.simulators.center.guest import Guest

    log.configure("center", "error")
    patches = [_patch_of(pair) for pair in pairs]
    given = {} if whole is None else _of_file(whole)
    if not patches and whole is None:
        raise SettingsError("order.malformed", "Nothing is wanted.", hint="Give --set or --file.")
    by = Actor(user=user, role="operator")

    def changed(before: dict[str, Any]) -> dict[str, Any]:
        wanted = before if whole is None else given
        for patch in patches:
            wanted = merge_patch(wanted, patch)
        return wanted

    guest = Guest(SystemClock(), link, data_dir, BoxAddress(site, box))
    report = asyncio.run(guest.configure(changed, by, patience_s, no_cameras=no_cameras))
    _show(report, as_json=as_json)
    sys.exit(0 if report is not None and report.status is ConfigStatus.APPLIED else 1)


def _show(report: "ConfigReport | None", *, as_json: bool) -> None:
    import msgspec

    if as_json:
        click.echo(msgspec.json.encode(report).decode())
    elif report is None:
        click.echo("The box has not answered; the wish waits for it at the broker.", err=True)
    else:
        trial = ", on trial for 5 minutes" if report.on_trial else ""
        click.echo(f"version {report.version}: {report.status.value}{trial}")
        for problem in report.errors:
            click.echo(f"  {problem.path}: {problem.message} [{problem.code}]")


def _patch_of(pair: str) -> dict[str, Any]:
    """Return `a.b=1` as {"a": {"b": 1}}; `cameras.gate.x=1` as that camera's patch."""
    key, is_there, text = pair.partition("=")
    steps = key.split(".")
    if not is_there or not all(steps):
        raise SettingsError("order.malformed", f"`{pair}` is not KEY=VALUE.", hint="As in a.b=1.")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    return _nested(steps, value)


def _nested(steps: list[str], value: Any) -> dict[str, Any]:
    if steps[0] == "cameras" and len(steps) > 2:
        return {"cameras": [{"camera_id": steps[1], **_nested(steps[2:], value)}]}
    return {steps[0]: value if len(steps) == 1 else _nested(steps[1:], value)}


def _of_file(path: Path) -> dict[str, Any]:
    import tomllib

    text = path.read_text("utf-8")
    try:
        wanted = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise SettingsError("order.malformed", f"{path} can't be read: {error}.") from error
    if not isinstance(wanted, dict):
        raise SettingsError("order.malformed", f"{path} holds no settings.")
    return wanted
