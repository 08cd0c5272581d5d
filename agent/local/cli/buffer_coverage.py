"""`poleside buffer coverage`: the ledger of camera-minutes, read beside the agent or elsewhere."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

if TYPE_CHECKING:
    from agent.buffer.ledger import Minute


@click.command()
@click.option("--camera", "camera_id", help="The camera's id; without it all cameras.")
@click.option("--last-hours", type=float, default=24.0, show_default=True)
@click.option(
    "--data-dir", type=click.Path(path_type=Path), default="/var/lib/poleside", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object, every minute.")
def coverage(camera_id: str | None, last_hours: float, data_dir: Path, *, as_json: bool) -> None:
    """Tell of every camera-minute what was due and recorded, and what is left of it now."""
    from agent.buffer import ledger, report
    from agent.core.clock import SystemClock

    until = SystemClock().utc_now()
    since = until - timedelta(hours=last_hours)
    folders = report.cameras_in(data_dir, camera_id)
    minutes = {folder.name: list(ledger.account(folder, since, until)) for folder in folders}
    if as_json:
        click.echo(msgspec.json.encode({"since": since, "until": until, "cameras": minutes}))
        return
    for name, rows in minutes.items():
        _tell(name, rows)


def _tell(name: str, rows: list[Minute]) -> None:
    covered = sum(row.is_covered for row in rows)
    events = sum(row.mode == "events" for row in rows)
    tiers = Counter(row.tier for row in rows)
    click.echo(f"{name}: {covered} of {len(rows)} minutes covered, {events} in event-only mode")
    left = ", ".join(f"{count} {tier.replace('-', ' ')}" for tier, count in tiers.most_common())
    click.echo(f"  left of them now: {left or 'nothing'}")
    for row in rows:
        if not row.is_covered:
            due = "?" if row.expected is None else row.expected
            why = ", ".join(row.causes)
            click.echo(f"  {row.at:%Y-%m-%d %H:%M}Z  {row.stored} of {due} frames  {why}")
