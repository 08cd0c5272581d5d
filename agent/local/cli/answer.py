"""One answer of a command, for a machine or for a person; `--json` is there on all that answer."""

from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
# For commands whose answer is JSON by nature: a script may say so everywhere.
always_json = click.option("--json", is_flag=True, expose_value=False, help="It always does so.")


def show(answer: Any, lines: list[str], *, as_json: bool) -> None:
    """Print one answer, for a machine or for a person."""
    if as_json:
        import msgspec

        click.echo(msgspec.json.encode(answer).decode())
    else:
        for line in lines:
            click.echo(line)
