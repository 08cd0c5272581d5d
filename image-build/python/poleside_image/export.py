"""A stick for recorded video (poleside-export.service): mounted while somebody writes to it.

The agent, which has no rights, leaves `plan.json`, names a partition in it and keeps the file
locked. All else is judged here: only FAT or exFAT on a disk behind USB that nothing of the box
lies on, and never the stick labelled POLESIDE, which brings settings and updates and stays
read-only. It is taken back when the file or its lock is gone, whatever became of the writer, or
when the time is over. What came of it is told in /run/poleside-export/state.json.
"""

import fcntl
import os
import re
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poleside_image import small_files
from poleside_image.programs import ProgramError, run

MOST_S, LOOK_S, RELEASE_WITHIN_S = 1800.0, 0.2, 300.0
OURS = "POLESIDE"
OPTIONS = "rw,nosuid,nodev,noexec,noatime,uid={uid},gid={gid},fmask=0177,dmask=0077"
MOUNT = ("systemd-mount", "--collect", "--fsck=no", "--type={kind}", "--options={options}")
UNMOUNT = ("systemd-umount",)
_KINDS = ("vfat", "exfat")
_NAME = re.compile(r"[a-z]+[0-9]{0,2}")
_MOST_ID = 64
_pause = threading.Event().wait


@dataclass(frozen=True, slots=True)
class Places:
    """Where the agent's wish lies, where the stick goes, and the machine with its disks."""

    wishes: Path = Path("/var/lib/poleside/export")
    run: Path = Path("/run/poleside-export")
    root: Path = Path("/")

    @property
    def plan(self) -> Path:
        return self.wishes / "plan.json"

    @property
    def stick(self) -> Path:
        return self.run / "stick"


class StickError(Exception):
    """Nothing may be written to it."""


class Export:
    """One stick at a time. `mount` and `unmount` are what does it, without device and place."""

    def __init__(
        self,
        places: Places,
        mount: Sequence[str] = MOUNT,
        unmount: Sequence[str] = UNMOUNT,
        most_s: float = MOST_S,
    ) -> None:
        self._places, self._mount, self._unmount, self._most_s = places, mount, unmount, most_s

    def carry_out(self) -> None:
        """Mount what the plan asks for, wait until nobody writes any more, and take it back."""
        if not is_held(self._places.plan):  # its writer is gone
            self._places.plan.unlink(missing_ok=True)
            return
        plan = small_files.read(self._places.plan)
        plan_id = str(plan.get("plan_id", ""))[:_MOST_ID]
        try:
            self.release()  # of one that was killed
            self._take(plan)
        except (StickError, ProgramError, OSError) as error:
            self._places.plan.unlink(missing_ok=True)
            self._tell(plan_id, "refused", str(error))
            return
        self._tell(plan_id, "mounted")
        until_s = time.monotonic() + self._most_s
        while is_held(self._places.plan) and time.monotonic() < until_s:
            _pause(LOOK_S)
        self._places.plan.unlink(missing_ok=True)
        try:
            self.release()
        except ProgramError as error:
            self._tell(plan_id, "stuck", str(error))
            return
        self._tell(plan_id, "released")

    def release(self) -> None:
        """Write out what waits and take the stick back. Raises `ProgramError`."""
        if self._is_mounted():
            run([*self._unmount, str(self._places.stick)], RELEASE_WITHIN_S)

    def _take(self, plan: Mapping[str, Any]) -> None:
        name = str(plan.get("device", ""))
        kind = allowed(self._places.root, name)
        owner = self._places.wishes.stat()
        options = OPTIONS.format(uid=owner.st_uid, gid=owner.st_gid)
        command = [part.format(kind=kind, options=options) for part in self._mount]
        run([*command, f"/dev/{name}", str(self._places.stick)])

    def _is_mounted(self) -> bool:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
        return any(line.split()[4] == str(self._places.stick) for line in mounts)

    def _tell(self, plan_id: str, outcome: str, why: str = "") -> None:
        state = {"plan_id": plan_id, "outcome": outcome, "why": why, "place": ""}
        if outcome == "mounted":
            state["place"] = str(self._places.stick)
        small_files.write(self._places.run / "state.json", state)


def is_held(plan: Path) -> bool:
    """Say whether the plan lies there and its writer lives: he keeps it locked."""
    try:
        file = os.open(plan, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def allowed(root: Path, name: str) -> str:
    """Return the file system of a partition that may be written to. Raises `StickError`."""
    if not _NAME.fullmatch(name):
        raise StickError("That is no partition's name.")
    try:
        place = (root / "sys/class/block" / name).resolve(strict=True)
        numbers = (place / "dev").read_text("ascii").strip()
        if "/usb" not in str(place.relative_to(root.resolve())):
            raise StickError("It does not hang on USB.")
        disk = place.parent if (place / "partition").exists() else place
        if _is_used(root, disk):
            raise StickError("Something of the box lies on that disk, or it is mounted.")
        facts = (root / f"run/udev/data/b{numbers}").read_text("utf-8", "replace")
    except (OSError, ValueError) as error:
        raise StickError("There is no such stick.") from error
    found = dict(line[2:].partition("=")[::2] for line in facts.splitlines() if line[:2] == "E:")
    if found.get("ID_FS_LABEL", "") == OURS:
        raise StickError("A stick named POLESIDE brings settings and updates: it stays read-only.")
    if (kind := found.get("ID_FS_TYPE", "")) not in _KINDS:
        raise StickError("Format it with FAT or exFAT.")
    return kind


def _is_used(root: Path, disk: Path) -> bool:
    """Say whether a disk or a partition of it is mounted, or in the hands of another layer."""
    lines = (root / "proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    mounted = {line.split()[2] for line in lines}
    for part in (disk, *(file.parent for file in disk.glob("*/partition"))):
        if (part / "dev").read_text("ascii").strip() in mounted:
            return True
        if any((part / "holders").glob("*")):
            return True
    return False


def main(arguments: list[str]) -> int:
    """`run`: carry the plan out. `release`: after a service that was killed."""
    export = Export(Places())
    if arguments == ["release"]:
        try:
            export.release()
        except ProgramError as error:
            print(f"export: {error}", file=sys.stderr)
            return 1
        return 0
    export.carry_out()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
