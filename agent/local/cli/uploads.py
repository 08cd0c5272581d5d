"""`poleside uploads`: files on their way to the center, beside the agent or from a disk."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def uploads() -> None:
    """See which files wait for the center, and why."""


@uploads.command()
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), default="/var/lib/poleside"
)
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
def status(data_dir: Path, *, as_json: bool) -> None:
    """List the files that wait, are being sent, or failed in the last days."""
    import msgspec

    from agent.local.cli.link import read_box
    from agent.uploads.reading import report

    found = read_box(data_dir, report)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    size = sum(file.bytes for file in found.files if not file.is_final)
    sent = found.sent_today_bytes
    click.echo(f"waiting   {found.waiting} files, {size} bytes; sent today {sent} bytes")
    for file in found.files:
        parts = f"{file.parts_sent}/{file.parts_total} parts" if not file.is_final else ""
        why = f"  {file.message} [{file.code}]" if file.code else ""
        click.echo(f"{file.state:9} {file.id}  {file.content_type}  {file.bytes}  {parts}{why}")
