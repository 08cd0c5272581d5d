"""Ask the programs of the image: the agent's command line, RAUC, systemd. All with a time limit."""

import json
import subprocess
from collections.abc import Sequence
from typing import Any

POLESIDE = "poleside"  # found by the PATH that the launchers in /usr/lib/poleside set
SETTINGS = "/etc/poleside/poleside.toml"
ANSWER_WITHIN_S = 60.0


class ProgramError(Exception):
    """A program is missing, hangs, or says no."""


def run(command: Sequence[str], within_s: float = ANSWER_WITHIN_S, typed: str = "") -> str:
    """Return what it prints; `typed` is what it reads. Raises `ProgramError` when it fails."""
    code, printed, complaint = _finished(command, within_s, typed)
    if code:
        last = (complaint.strip() or printed.strip() or f"exit code {code}").splitlines()[-1]
        raise ProgramError(f"{command[0]}: {last}")
    return printed


def ask(command: Sequence[str], within_s: float = ANSWER_WITHIN_S) -> dict[str, Any]:
    """Return the JSON object it prints, whatever its exit code (a red light is one too)."""
    _, printed, complaint = _finished(command, within_s)
    try:
        answer = json.loads(printed)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        last = (complaint.strip() or "no JSON object was printed").splitlines()[-1]
        raise ProgramError(f"{command[0]}: {last}")
    return answer


def _finished(command: Sequence[str], within_s: float, typed: str = "") -> tuple[int, str, str]:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=within_s, input=typed
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProgramError(f"{command[0]}: {error}") from error
    return done.returncode, done.stdout, done.stderr
