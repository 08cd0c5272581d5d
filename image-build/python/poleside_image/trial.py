"""The health gate (poleside-trial.service): keeps a new system once the agent is as well as before.

Not the agent judges, but what it says counts: it must answer, have no red fault that it had not
before the update, have the link up and the cameras recorded that were so then (what was away before
stays nobody's fault), and go on so without a restart for a while, behind a firewall that is up.
Else the unit fails, systemd restarts the box, and the firmware starts the old system.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poleside_image import small_files, version_floor
from poleside_image.programs import POLESIDE, SETTINGS, ProgramError, ask, run

FOLDER = Path("/data/image")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
BEFORE, OUTCOME = "before.json", "trial.json"
_LIMIT = "POLESIDE_TRIAL_LIMIT_S"  # for a board that is slower than any real one
_pause = threading.Event().wait


_LIMIT_S = 300.0
_MUST_BE_UP = {
    "nftables.service": "the firewall is not up",
    "poleside-slot.service": "which slot runs is not noted",
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the agent must be well, how long the gate waits for that, how often it looks."""

    steady_s: float = 60.0
    limit_s: float = _LIMIT_S
    every_s: float = 5.0
    busy_tries: int = 10


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the agent: what is wrong with it (None: nothing), and its restarts so far."""

    wrong: str | None
    restarts: str


def red_faults(health: Mapping[str, Any]) -> frozenset[str]:
    """Return the red faults of `poleside health --json`, each with its camera."""
    return frozenset(
        f"{fault.get('code')}:{fault.get('camera_id') or ''}"
        for fault in health.get("faults", ())
        if fault.get("light") == "red"
    )


def works_of(health: Mapping[str, Any]) -> frozenset[str]:
    """Return what worked: "link", and "camera/ID" of each that was recorded."""
    found = health.get("works")
    return frozenset(map(str, found)) if isinstance(found, list) else frozenset()


def what_is_wrong(
    health: Mapping[str, Any], known: Iterable[str], worked: Iterable[str] = ()
) -> str | None:
    """Return why this health is worse than it was before the update, None when it isn't.

    What worked before must work again; the absence of what did not is known.
    """
    if health.get("is_running") is not True:
        return "the agent does not answer"
    new = sorted(red_faults(health) - set(known))
    if new:
        return f"new faults: {', '.join(new)}"
    gone = (
        sorted(frozenset(worked) - works_of(health))
        if isinstance(health.get("works"), list)
        else []
    )
    return f"no longer: {', '.join(gone)}" if gone else None


def look(known: Iterable[str], worked: Iterable[str] = ()) -> Look:
    """Ask the agent and systemd."""
    for unit, wrong in _MUST_BE_UP.items():
        try:
            run(["systemctl", "is-active", unit])
        except ProgramError as error:
            return Look(f"{wrong}: {error}", "")
    try:
        health = ask([POLESIDE, "health", "--config", SETTINGS, "--json"])
        restarts = run(["systemctl", "show", "--property=NRestarts", "poleside.service"]).strip()
    except ProgramError as error:
        return Look(str(error), "")
    return Look(what_is_wrong(health, known, worked), restarts)


def wait_until_well(
    look: Callable[[], Look],
    patience: Patience,
    now_s: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = _pause,
) -> str | None:
    """Return None once the agent was well for `steady_s`, else what was wrong at the limit."""
    begin_s, well_since_s, restarts = now_s(), None, ""
    wrong: str | None = "it was never looked at"
    while now_s() - begin_s < patience.limit_s:
        seen = look()
        wrong = seen.wrong
        if wrong is None and seen.restarts != restarts:
            well_since_s, restarts = now_s(), seen.restarts
        elif wrong is not None:
            well_since_s, restarts = None, ""
        if well_since_s is not None and now_s() - well_since_s >= patience.steady_s:
            return None
        pause(patience.every_s)
    return wrong or f"not steady for {patience.steady_s:.0f} s: it restarts"


def keep(patience: Patience, pause: Callable[[float], object] = _pause) -> None:
    """Let RAUC mark the running slot good; it may be busy. Raises `ProgramError` at last."""
    for turn in range(patience.busy_tries):
        try:
            run(["rauc", "status", "mark-good", "booted"])
        except ProgramError:
            if turn + 1 == patience.busy_tries:
                raise
            pause(patience.every_s)
        else:
            return


def main(folder: Path = FOLDER, patience: Patience | None = None, boot: Path = BOOT_ID) -> int:
    """Judge this trial; 0 when the new system is kept."""
    patience = patience or Patience(limit_s=float(os.environ.get(_LIMIT, _LIMIT_S)))
    before = small_files.read(folder / BEFORE)
    known, worked = before.get("red", ()), works_of(before)
    wrong = wait_until_well(lambda: look(known, worked), patience)
    if wrong is None:
        try:
            keep(patience)
        except ProgramError as error:
            wrong = f"can't be kept: {error}"
    outcome = {
        "kept": wrong is None,
        "why": wrong,
        "version": version_floor.running_version(),
        "boot": boot.read_text().strip() if boot.exists() else "",
    }
    try:
        if wrong is None:
            version_floor.raise_to_image(folder)
        small_files.write(folder / OUTCOME, outcome)
    except OSError as error:  # data may be the very thing that is broken: the verdict stands
        print(f"trial: the outcome can't be noted: {error}", file=sys.stderr)
    print(f"trial: {'kept' if wrong is None else f'given up, {wrong}'}")
    return 0 if wrong is None else 1


if __name__ == "__main__":
    sys.exit(main())
