"""Every command answers a program with `--json`, says its exit codes, and completes in a shell."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from agent.local.cli.main import cli

NO_JSON = {
    "run": "runs until it is stopped; it logs JSON lines",
    "demo": "runs until it is stopped, for a person",
    "center ingest": "runs until it is stopped; it logs JSON lines",
    "center enrolment": "runs until it is stopped; it logs JSON lines",
    "simulate camera": "runs until it is stopped; it logs JSON lines",
    "clip stream": "prints video",
    "config reference": "prints one document; `config schema` is the same for a program",
    "center refuse": "prints nothing",
    "center next-key": "prints nothing",
}


def leaves(command=cli, path=()):
    if not isinstance(command, click.Group):
        return [(" ".join(path), command)]
    context = click.Context(command)
    return [
        leaf
        for name in command.list_commands(context)
        for leaf in leaves(command.get_command(context, name), (*path, name))
    ]


LEAVES = leaves()


@pytest.mark.parametrize(("name", "command"), LEAVES, ids=[name for name, _ in LEAVES])
def test_every_command_that_prints_answers_a_program(name, command):
    has_json = any("--json" in option.opts for option in command.params)
    assert has_json != (name in NO_JSON), NO_JSON.get(name, "prints, but has no --json")
    assert (command.help or "").strip()


def test_every_exception_is_a_command():
    assert set(NO_JSON) <= {name for name, _ in LEAVES}


def test_the_exit_codes_are_told_in_the_help():
    help_text = CliRunner().invoke(cli, ["--help"]).output
    told = help_text.split("Exit codes:")[1].split()
    assert {"0", "1", "2"} <= set(told)


def poleside(*words, **env):
    return subprocess.run(
        [sys.executable, "-m", "agent.local.cli.main", *words],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **env},
        cwd=Path(__file__).parents[2],
    )


def test_it_exits_as_it_says(tmp_path):
    assert poleside("config", "schema").returncode == 0
    refused = poleside("config", "history", "--data-dir", str(tmp_path / "none"), "--json")
    assert refused.returncode in (0, 1)
    closed = poleside("config", "confirm", "--data-dir", str(tmp_path))
    assert closed.returncode == 1
    assert re.match(r"\[counter\.closed\] ", closed.stderr)
    assert poleside("no-such-command").returncode == 2
    assert poleside("status", "--no-such-option").returncode == 2


BASH = """
eval "$(_POLESIDE_COMPLETE=bash_source poleside)"
COMP_WORDS=(poleside "$@") COMP_CWORD=$#
_poleside_completion poleside
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["sta"], ["status"]),
        (["network", "co"], ["confirm"]),
        (["config", "re"], ["reference"]),
        (["status", "--js"], ["--json"]),
        (["status", "--lang", "k"], ["ko"]),
    ],
)
def test_a_shell_completes_commands_and_options(words, found, tmp_path):
    program = tmp_path / "poleside"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m agent.local.cli.main "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", BASH, "bash", *words],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout.split() == found, done.stderr
