"""The shell completes commands and options, as README.md says."""

import os
import subprocess
import sys

import pytest

from agent.local.cli.main import main

PROGRAM = "from agent.local.cli.main import main; main()"


def completed(*words: str, shell: str = "bash") -> set[str]:
    environment = {
        **os.environ,
        "_POLESIDE_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": " ".join(("poleside", *words)),
        "COMP_CWORD": str(len(words)),
    }
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert said.stderr == ""
    return {line.split(",", 1)[1] for line in said.stdout.splitlines()}


def test_commands_their_own_commands_and_options_are_completed():
    assert completed("con") == {"config"}
    assert completed("config", "") >= {"check", "schema", "reference"}
    assert "--json" in completed("config", "check", "--")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_is_given_its_script(shell, monkeypatch, capsys):
    monkeypatch.setenv("_POLESIDE_COMPLETE", f"{shell}_source")
    with pytest.raises(SystemExit):
        main([])
    script = capsys.readouterr().out
    assert "_POLESIDE_COMPLETE" in script
    assert "poleside" in script
