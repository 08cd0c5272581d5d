"""Every boot (poleside-provision.service): the box's name; at the first: settings from a stick.

A stick labelled POLESIDE may carry `poleside.toml`. It is taken only while the box has no settings,
and only when the agent's own check finds nothing wrong. Keys are never taken from a stick: the box
makes its own, and a technician claims it with the code on its label.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path

from poleside_image import small_files
from poleside_image.programs import POLESIDE, ProgramError, run

STICK = Path("/run/poleside-stick")
SETTINGS_FOLDER = Path("/etc/poleside")
OUTCOME_FOLDER = Path("/data/image")
MACHINE_ID = Path("/etc/machine-id")
_MOST_BYTES = 1_048_576


def hostname(machine_id: str) -> str:
    """Return "poleside-1a2b3c4d": the same at every boot, and not the machine's secret id."""
    return f"poleside-{hashlib.sha256(b'poleside ' + machine_id.encode()).hexdigest()[:8]}"


def settings_from(stick: Path, folder: Path, group: str | int = "poleside") -> str:
    """Take the settings when there are none yet. Returns what came of it, for the log."""
    target = folder / "poleside.toml"
    if target.exists():
        return "has settings"
    source = stick / "poleside.toml"
    try:
        if source.is_symlink() or not source.is_file() or source.stat().st_size > _MOST_BYTES:
            return "no settings on a stick"
        text = source.read_bytes()
    except OSError as error:
        return f"the stick can't be read: {error.strerror}"
    scratch = folder / ".poleside.toml.new"
    scratch.unlink(missing_ok=True)
    file = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    with os.fdopen(file, "wb") as stream:
        os.fchmod(file, 0o640)  # whatever the umask: the agent, of this group, reads it
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        run([POLESIDE, "config", "check", str(scratch)])
        shutil.chown(scratch, group=group)
    except (ProgramError, LookupError, OSError) as error:
        scratch.unlink()
        return f"the settings on the stick are not taken: {error}"
    scratch.replace(target)
    return "settings taken from the stick"


def main() -> int:
    """Name the box, look for settings. Never fails: a box without settings can be claimed."""
    outcome = settings_from(STICK, SETTINGS_FOLDER)
    try:
        name = hostname(MACHINE_ID.read_text().strip())
        run(["hostnamectl", "--transient", "hostname", name])
    except (OSError, ProgramError) as error:
        print(f"provision: no name: {error}", file=sys.stderr)
    try:
        small_files.write(OUTCOME_FOLDER / "provision.json", {"settings": outcome})
    except OSError as error:
        print(f"provision: can't be noted: {error}", file=sys.stderr)
    print(f"provision: {outcome}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
