"""Every command answers a program with `--json`, says its exit codes, and completes in a shell."""

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from agent.local.cli.main import cli, main

NO_JSON = {
    "run": "runs until it is stopped; it logs JSON lines",
    "demo": "runs until it is stopped, for a person",
    "center ingest": "runs until it is stopped; it logs JSON lines",
    "center enrolment": "runs until it is stopped; it logs JSON lines",
    "simulate camera": "runs until it is stopped; it logs JSON lines",
    "clip stream": "prints video",
    "claim qr": "draws a picture",
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


NOTHING = "--data-dir DIR"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (f"health {NOTHING}", 1, "not answer"),
        (f"status {NOTHING}", 3, "not answer"),
        (f"events {NOTHING}", 1, "storage.no_database"),
        (f"link status {NOTHING}", 1, "storage.no_database"),
        (f"buffer status {NOTHING}/none", 1, "buffer.no_camera"),
        (f"buffer check --camera no {NOTHING}", 1, "buffer.no_camera"),
        (f"clip export --camera a --last 9 --out DIR/a.mp4 {NOTHING}", 1, "storage.no_database"),
        (f"usb export --camera a --last 9 --reason x --media DIR {NOTHING}", 1, "["),
        (f"config diff 7 {NOTHING}", 1, "settings.no_version"),
        (f"config rollback 7 {NOTHING}", 1, "settings.no_version"),
        ("config check DIR/none.toml", 1, "settings.no_file"),
        (f"swap camera gate {NOTHING}", 1, "counter.closed"),
        (f"swap box --yes --center http://x --code a {NOTHING}", 1, "enrol.address"),
        (f"enrol --center http://x --code a {NOTHING}", 1, "enrol.address"),
        (f"report make --out DIR/r {NOTHING}", 1, "counter.closed"),
        (f"bundle --out DIR/none/b.zip {NOTHING}", 1, "storage.not_writable"),
        ("claim code --data-dir DIR/none", 1, "storage.not_writable"),
        (f"update install DIR --version 1.0.0 {NOTHING}", 2, "BUNDLE"),
        ("run", 1, "settings.nothing"),
        ("cameras discover --host no-address", 2, "no-address"),
    ],
)
def test_a_failure_is_one_exit_code_and_says_why(words, code, said, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words.replace("DIR", str(tmp_path)).split())
    out, err = capsys.readouterr()
    assert ended.value.code == code, err
    assert said in out + err
    assert "Traceback" not in err


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
