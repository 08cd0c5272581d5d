"""Carry out an update plan (poleside-update.service): look first, let RAUC do it, restart.

The agent has fetched the bundle and left `plan.json` beside it; it has no other right. The plan is
a wish of a program that may be taken over: RAUC's signature decides what is installed, the checks
here whether now is the time. What came of it is left in /data/image/update.json.
"""

import os
import re
import stat
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poleside_image import small_files, version_floor
from poleside_image.firmware import Firmware
from poleside_image.programs import POLESIDE, SETTINGS, ProgramError, ask, run
from poleside_image.trial import BEFORE, BOOT_ID, FOLDER, red_faults, works_of

OUTCOME = "update.json"
BEGUN = "update-begun.json"  # what lies there still when this program was killed
MOST_BEGUN = 3
HOLD = "hold"
TRIAL = Path("/run/poleside-boot/trial")
INSTALL_WITHIN_S = 6_000.0
ROOT = Path("/")
HELD_WITHIN_S = 3_600.0  # an agent that died over its `hold` must not stop the restart for ever
_LOOK_S = 2.0
_pause = threading.Event().wait
LEAST_FREE_BYTES = 64 * 1024 * 1024  # the journal and the outbox go on while RAUC writes
HOTTEST_C = 75.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.raucb")


class RefusedError(Exception):
    """The plan is not carried out. `code` is for the center; `may_come`: later may be better."""

    def __init__(self, code: str, message: str, *, may_come: bool = False) -> None:
        super().__init__(message)
        self.code, self.may_come = code, may_come


@dataclass(frozen=True, slots=True)
class Plan:
    """What the agent asks for. `bundle` lies beside the plan."""

    update_id: str
    bundle: Path
    restart: bool


def read_plan(path: Path) -> Plan:
    """Return the plan. Raises `RefusedError` when it is none, or leads out of its folder."""
    found = small_files.read(path)
    update_id, name = found.get("update_id"), found.get("bundle")
    if not isinstance(update_id, str) or not update_id or len(update_id) > 64:
        raise RefusedError("update.plan", "the plan has no update_id")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise RefusedError("update.plan", "the plan's bundle is no file name ending in .raucb")
    bundle = path.parent / name
    try:
        kind = bundle.lstat().st_mode
    except OSError as error:
        raise RefusedError("update.plan", f"the bundle can't be read: {error.strerror}") from error
    if not stat.S_ISREG(kind):
        raise RefusedError("update.plan", "the bundle is no plain file")
    return Plan(update_id, bundle, restart=found.get("restart") is not False)


def check_room(folder: Path, least_bytes: int = LEAST_FREE_BYTES) -> None:
    """Raises `RefusedError` when `data` has less room than the installation must leave."""
    facts = os.statvfs(folder)
    free = facts.f_bavail * facts.f_frsize
    if free < least_bytes:
        raise RefusedError("update.no_room", f"{free // 2**20} MiB are free", may_come=True)


def check_board(board: Mapping[str, Any]) -> None:
    """Raises `RefusedError` for a weak supply or heat. What a board can't tell is no reason."""
    if (board.get("power") or {}).get("under_voltage") is True:
        raise RefusedError("update.under_voltage", "the supply is weak", may_come=True)
    known = [(each.get("celsius"), each.get("name")) for each in board.get("temperatures", ())]
    hot = [f"{name} {c:.0f} °C" for c, name in known if c is not None and c >= HOTTEST_C]
    if hot:
        raise RefusedError("update.hot", f"too hot: {', '.join(hot)}", may_come=True)


def check_begun(folder: Path, update_id: str, boot: str) -> None:
    """Count this begin. Raises `RefusedError` for a plan that was killed again and again in a boot.

    A power cut is not the plan's fault: with the next boot it begins anew.
    """
    begun = small_files.read(folder / BEGUN)
    is_again = (begun.get("update_id"), begun.get("boot")) == (update_id, boot)
    count = int(begun.get("count", 0)) if is_again else 0
    if count >= MOST_BEGUN:
        why = f"the installation was killed {count} times"
        raise RefusedError("update.failed", why, may_come=True)
    if count:
        print(f"update: begins again, killed {count} times before", file=sys.stderr)
    told = {"update_id": update_id, "boot": boot, "count": count + 1}
    small_files.write(folder / BEGUN, told)


def check_trial(mark: Path) -> None:
    """Raises `RefusedError` in a trial: the idle slot is the way back until it is over."""
    if mark.exists():
        raise RefusedError("update.on_trial", "this system is on trial itself", may_come=True)


def check_way_back(firmware: Firmware) -> None:
    """Raises `RefusedError` where no trial can be started: all would end in the old system."""
    if not firmware.starts_trials():
        raise RefusedError("update.no_trials", "this board's firmware can't be asked for a trial")


def check_hold(folder: Path) -> None:
    """Raises `RefusedError` while the agent protects a recording: a file `hold` beside the plan."""
    reason = small_files.read(folder / HOLD)
    if reason or (folder / HOLD).is_symlink() or (folder / HOLD).exists():
        what = str(reason.get("why", "a recording is protected"))[:200]
        raise RefusedError("update.held", what, may_come=True)


def check_version(bundle: Path, folder: Path) -> str:
    """Return the bundle's version as RAUC, which checks the signature first, reads it."""
    try:
        info = ask(["rauc", "info", "--output-format=json", str(bundle)])
    except ProgramError as error:
        raise RefusedError("update.not_trusted", f"RAUC does not accept it: {error}") from error
    try:
        version = version_floor.parsed(info.get("version"))
        lowest = version_floor.floor(folder)
    except ValueError as error:
        raise RefusedError("update.version", str(error)) from error
    if version < lowest:
        text = ".".join(map(str, lowest))
        raise RefusedError("update.version", f"{info['version']} is below the floor, {text}")
    return str(info["version"])


def note_health(folder: Path) -> None:
    """Leave what is wrong now, before the update: the gate forgives these and no others."""
    health = _health()
    before = {"red": sorted(red_faults(health)), "works": sorted(works_of(health))}
    small_files.write(folder / BEFORE, before)


def note_works_again(folder: Path) -> None:
    """Add what works now: a link that was away for the moment of the first look is missed, too."""
    before = small_files.read(folder / BEFORE)
    works = sorted(works_of(before) | works_of(_health()))
    small_files.write(folder / BEFORE, before | {"works": works})


def _health() -> dict[str, Any]:
    try:
        return ask([POLESIDE, "health", "--config", SETTINGS, "--json"])
    except ProgramError:
        return {}  # nothing is forgiven, but a broken agent may well be what is to be mended


def carry_out(plan: Plan, folder: Path) -> str:
    """Check, install and restart. Returns the version; raises `RefusedError`."""
    check_trial(TRIAL)
    check_way_back(Firmware(ROOT))
    check_hold(plan.bundle.parent)
    check_room(folder)
    try:
        board = ask([POLESIDE, "box", "status", "--json"])
    except ProgramError:
        board = {}  # a broken agent must still be replaceable
    check_board(board)
    version = check_version(plan.bundle, folder)
    note_health(folder)
    try:
        run(["rauc", "install", str(plan.bundle)], within_s=INSTALL_WITHIN_S)
    except ProgramError as error:
        raise RefusedError("update.failed", str(error), may_come=True) from error
    note_works_again(folder)
    return version


def wait_while_held(
    folder: Path, within_s: float = HELD_WITHIN_S, pause: Callable[[float], object] = _pause
) -> None:
    """Wait with the restart: an incident may have begun while RAUC wrote."""
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        try:
            check_hold(folder)
        except RefusedError:
            pause(_LOOK_S)
        else:
            return
    print(f"update: restarts, though held for {within_s:.0f} s", file=sys.stderr)


def main(
    arguments: list[str], folder: Path = FOLDER, pause: Callable[[float], object] = _pause
) -> int:
    """Carry out the plan and take it away, whatever comes of it: a plan is a wish, not a loop.

    One that was killed on its way is started again: with the plan, or with the restart it owed.
    """
    path, boot = Path(arguments[0]), BOOT_ID.read_text().strip()
    if not os.path.lexists(path):
        if small_files.read(folder / BEGUN).get("restart") == boot:
            _restart(path.parent, pause)
        return 0
    outcome: dict[str, Any] = {"update_id": None}
    plan = None
    try:
        plan = read_plan(path)
        outcome["update_id"] = plan.update_id
        check_begun(folder, plan.update_id, boot)
        outcome |= {"outcome": "installed", "version": carry_out(plan, folder)}
    except RefusedError as refused:
        word = "postponed" if refused.may_come else "refused"
        outcome |= {"outcome": word, "code": refused.code, "why": str(refused)}
    owes_restart = bool(plan and plan.restart and outcome.get("outcome") == "installed")
    small_files.write(folder / OUTCOME, outcome)
    small_files.write(folder / BEGUN, {"restart": boot if owes_restart else ""})
    path.unlink(missing_ok=True)
    print(f"update: {outcome}")
    if owes_restart:
        _restart(path.parent, pause)
    return 0


def _restart(wishes: Path, pause: Callable[[float], object]) -> None:
    wait_while_held(wishes, pause=pause)
    run(["systemctl", "reboot"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
