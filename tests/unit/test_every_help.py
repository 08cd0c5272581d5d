"""Every command teaches by its help: its examples stand line by line, as they are typed."""

import click
import pytest
from click.testing import CliRunner

from agent.local.cli.main import cli


def commands(command, *path):
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), *path, name)


@pytest.mark.parametrize("path", sorted(commands(cli)), ids=" ".join)
def test_help_is_given_and_its_examples_stay_on_lines_of_their_own(path):
    done = CliRunner().invoke(cli, [*path, "--help"])
    assert done.exit_code == 0
    assert "\\b" not in done.output
    examples = [line for line in done.output.splitlines() if line.startswith("  poleside ")]
    assert all(line.count("poleside ") == 1 for line in examples if "|" not in line), examples
