"""`poleside grants`: who may see what of this box's cameras just now."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import click


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
