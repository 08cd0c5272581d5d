"""`poleside grants`: who may see what of this box's cameras just now."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from getpass import getuser
from pathlib import Path
from typing import IO, Any

import click

from agent.local.cli.box_in_reach import Box, box_options


@click.group()
def grants() -> None:
    """Permissions to see, given by the center; each ends by itself."""


@grants.command(name="list")
@click.option("--data-dir", type=click.Path(path_type=Path), default=Path("/var/lib/poleside"))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(data_dir: Path, *, as_json: bool) -> None:
    """List the grants that hold now; bytes and stalls are at most ten seconds old.

    poleside grants list --json
    """
    from agent.core.clock import SystemClock, boot_id
    from agent.core.sqlite import open_reader
    from agent.grants import store

    with closing(open_reader(data_dir / "box.db")) as db:
        held = store.holding(db)
    now_s, boot = SystemClock().monotonic_s(), boot_id()
    rows = [store.told(one, one.until_mono_s - now_s) for one in held if one.boot == boot]
    for row in rows:
        if as_json:
            click.echo(json.dumps(row, ensure_ascii=False))
        else:
            click.echo(
                f"{row['grant']}  {row['audience']:12} {row['reason']:14} {row['status']:8}"
                f" {','.join(row['cameras'])}  {row['left_s']:.0f} s left, {row['bytes']} bytes"
            )
    if not rows and not as_json:
        click.echo("Nobody may see anything just now.")


@grants.command()
@click.option("--data-dir", type=click.Path(path_type=Path), default=Path("/var/lib/poleside"))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def policies(data_dir: Path, *, as_json: bool) -> None:
    """List the standing policies: what the box may do by itself on alarms of its own."""
    from agent.commands.policy import told
    from agent.core.sqlite import open_reader
    from agent.grants.policies import kept

    with closing(open_reader(data_dir / "box.db")) as db:
        rows = [told(one) for one in kept(db)]
    for row in rows:
        if as_json:
            click.echo(json.dumps(row, ensure_ascii=False))
        else:
            click.echo(
                f"{row['policy']}  {row['audience']:12} on {row['kinds']}"
                f" in {row['zones'] or 'any zone'} at {row['hours'] or 'any time'}"
            )
    if not rows and not as_json:
        click.echo("The box shows nothing to anybody by itself.")


@grants.command(name="try")
@box_options
@click.argument("file", type=click.File("r"))
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")
def try_(box: Box, file: IO[str], *, as_json: bool) -> None:
    """Tell what the order or grant in FILE (- is standard input) would allow, and give nothing.

    FILE is a signed order (a JWS, as the center sends it: `grant.give`, one that carries a grant,
    `policy.give`), or a grant as plain JSON, looked at as if it was signed. It is audited.

    \b
    poleside grants try order.jws
    poleside grants try --json - < grant.json

    Exit code 0 when the box would take it, 1 with the code it would be refused by.
    """
    from agent.commands.questions import TryGrant

    told = box.ask(TryGrant(file.read(), getuser()), dict[str, Any])
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
    elif not told["allowed"]:
        click.echo(f"Refused: {told['message']} [{told['code']}]\n{told['hint']}")
    else:
        for line in _in_words(told):
            click.echo(line)
    sys.exit(0 if told["allowed"] else 1)


def _in_words(told: dict[str, Any]) -> list[str]:
    lines = ["Allowed." if told["signed"] else "It would be allowed, if the center signed it."]
    if "grant" not in told:
        return [*lines, f"`{told['op']}` needs no grant."]
    grant = told["grant"]
    cameras = ", ".join(grant.get("cameras", ())) or "the box as a whole"
    lines.append(
        f"{grant['audience']} may have {', '.join(grant['what'])} of {cameras}"
        f" for {told['lasts_s']:.0f} s: {grant['reason']}, {grant['incident']}"
    )
    if window := grant.get("window"):
        lines.append(f"recorded from {window['start_at']} to {window['end_at']}")
    return lines
