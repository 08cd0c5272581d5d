"""`poleside buffer coverage`: the ledger of camera-minutes, read beside the agent or elsewhere."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from agent.local.cli.buffer_words import cause_of
from agent.local.cli.spoken import lang_option, words_of

if TYPE_CHECKING:
    from agent.buffer.ledger import Minute


@click.command()
@click.option("--camera", "camera_id", help="The camera's id; without it all cameras.")
@click.option("--last-hours", type=float, default=24.0, show_default=True)
@click.option(
    "--data-dir", type=click.Path(path_type=Path), default="/var/lib/poleside", show_default=True
)
@lang_option
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object, every minute.")
def coverage(
    camera_id: str | None, last_hours: float, data_dir: Path, lang: str, *, as_json: bool
) -> None:
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
        _tell(name, rows, lang)


def _tell(name: str, rows: list[Minute], lang: str) -> None:
    words = words_of(lang)
    covered = sum(row.is_covered for row in rows)
    events = sum(row.mode == "events" for row in rows)
    tiers = Counter(row.tier for row in rows)
    told = {"camera": name, "covered": covered, "n": len(rows), "events": events}
    click.echo(words["buffer.covered"].format(**told))
    left = ", ".join(
        words["buffer.of-tier"].format(n=count, tier=words[f"buffer.tier.{tier}"])
        for tier, count in tiers.most_common()
    )
    click.echo(f"  {words['buffer.left'].format(left=left or words['buffer.nothing'])}")
    for row in rows:
        if not row.is_covered:
            due = "?" if row.expected is None else row.expected
            why = ", ".join(cause_of(cause, lang) for cause in row.causes)
            at = f"{row.at:%Y-%m-%d %H:%M}Z"
            line = words["buffer.frames"].format(at=at, stored=row.stored, due=due, why=why)
            click.echo(f"  {line}")
