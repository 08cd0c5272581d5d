"""`poleside config`: is a settings file right, what may stand in it, and what a change restarts."""

import sys
import tomllib
from pathlib import Path

import click

from agent.local.cli.answer import always_json
from agent.local.cli.config_history import diff, history, rollback
from agent.local.cli.config_set import confirm, set_


@click.group()
def config() -> None:
    """Check a settings file and say what may stand in it.

    \b
    poleside config check /etc/poleside/poleside.toml
    poleside config schema > settings.schema.json
    poleside config reference > SETTINGS.md
    poleside config history
    poleside config diff 3
    poleside config rollback 3
    poleside config set patch.toml
    poleside config confirm
    """


config.add_command(history)
config.add_command(diff)
config.add_command(rollback)
config.add_command(set_)
config.add_command(confirm)


@config.command(epilog="Exit code: 0 all is right, 1 something is wrong or can't be read.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON list.")
def check(file: Path, *, as_json: bool) -> None:
    """Tell everything wrong with FILE: each with its path, what is allowed, and an example.

    What is allowed but costs a promise is told as well.
    """
    import msgspec

    from agent.local.cli.run import EXAMPLE
    from agent.settings.check import problems, warnings
    from agent.settings.load import read_file

    table = read_file(file)
    found = problems(table, tomllib.loads(EXAMPLE))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        for problem in found:
            click.secho(problem.path, fg="red", bold=True, nl=False)
            click.echo(f": {problem.message} [{problem.code}]")
            if problem.allowed:
                click.echo(f"    allowed: {problem.allowed}")
            if problem.example:
                click.echo(f"    example: {problem.example}")
        for path, warning in warnings(table):
            click.secho(path, fg="yellow", bold=True, nl=False)
            click.echo(f": {warning}")
        count = len(found)
        click.echo(f"{file}: {f'{count} to correct' if count else 'all is right'}.")
    sys.exit(1 if found else 0)


@config.command()
@always_json
def schema() -> None:
    """Print the JSON Schema of a settings file, for an editor or a program."""
    import msgspec

    from agent.settings import shape

    click.echo(msgspec.json.format(msgspec.json.encode(shape.schema())).decode())


@config.command()
def reference() -> None:
    """Print every key with its values, its default and what a change of it restarts (Markdown)."""
    from agent.local.cli.config_reference import reference_lines

    for line in reference_lines():
        click.echo(line)
