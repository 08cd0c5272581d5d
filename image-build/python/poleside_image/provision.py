"""Every boot (poleside-provision.service): the box's name, its label; at the first its settings.

A stick labelled POLESIDE may carry `poleside.toml`. It is taken only while the box has no settings
but those made here, and only when the agent's own check finds nothing wrong. Without one the box
makes settings of its own: no cameras, no broker, a page to be claimed. Keys are never taken from a
stick: the box makes its own, and a technician claims it with the secret on its label. A file
`visit.txt` on the stick says that a technician is there: until the next boot the page is at the
cameras' socket, too, and the label claims the box again without a button. `service-port.txt` says,
until the box is claimed, which socket is the service port.
"""

import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poleside_image import label, network_files, small_files
from poleside_image.programs import POLESIDE, ProgramError, run

MACHINE_ID = Path("/etc/machine-id")
OUTCOME, STATE = "provision.json", "state.json"
VISIT = "visit.txt"
SERVICE_PORT, NETWORK = "service-port.txt", "network.json"
_MOST_BYTES = 1_048_576
_MOST_WORD = 256
# Every way in is shut by the firewall but a technician's, so the page listens on all of them.
_FIRST = """\
# Made by this box, which had no settings. As long as nobody changes this file, `poleside.toml` of a
# stick labelled POLESIDE takes its place at a boot. What is set at the page lies over it.
box = "{name}"

[page]
listen = "0.0.0.0:8470"
"""


@dataclass(frozen=True, slots=True)
class Places:
    """What is read and written; `run` is gone with the power."""

    stick: Path = Path("/run/poleside-stick")
    settings: Path = Path("/etc/poleside")
    noted: Path = Path("/data/image")
    agent: Path = Path("/var/lib/poleside")
    run: Path = Path("/run/poleside-provision")
    medium: Path = Path("/run/poleside-boot/medium")
    udev: Path = Path("/run/udev/data")


def hostname(machine_id: str) -> str:
    """Return "poleside-1a2b3c4d": the same at every boot, and not the machine's secret id."""
    return f"poleside-{hashlib.sha256(b'poleside ' + machine_id.encode()).hexdigest()[:8]}"


def settings_from(
    stick: Path, folder: Path, group: str | int = "poleside", own: str = ""
) -> tuple[str, bool]:
    """Take the settings when there are none but the box's `own` (their hash).

    Returns what came of it, for the log, and whether the stick's were refused.
    """
    target = folder / "poleside.toml"
    if target.exists() and _hash(target) != own:
        return "has settings", False
    source = stick / "poleside.toml"
    try:
        if source.is_symlink() or not source.is_file():
            return "no settings on a stick", False
        if source.stat().st_size > _MOST_BYTES:
            return "the settings on the stick are not taken: larger than 1 MiB", True
        text = source.read_bytes()
    except OSError as error:
        is_there = error.errno not in label.NO_STICK
        why = f"the stick can't be read: {error.strerror}"
        return why if is_there else "no settings on a stick", is_there
    scratch = folder / ".poleside.toml.new"
    try:
        _write(scratch, text, group)
        run([POLESIDE, "config", "check", str(scratch)])
    except (ProgramError, LookupError, OSError) as error:
        scratch.unlink(missing_ok=True)
        return f"the settings on the stick are not taken: {error}", True
    scratch.replace(target)
    return "settings taken from the stick", False


def own_settings(folder: Path, name: str, group: str | int = "poleside") -> str:
    """Make the box's own settings when it has none; return their hash, "" when it has others."""
    target = folder / "poleside.toml"
    if target.exists():
        return ""
    scratch = folder / ".poleside.toml.new"
    _write(scratch, _FIRST.format(name=name).encode(), group)
    scratch.replace(target)
    return _hash(target)


def _hash(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "unreadable"


def _write(path: Path, text: bytes, group: str | int) -> None:
    path.unlink(missing_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    with os.fdopen(file, "wb") as stream:
        os.fchmod(file, 0o640)  # whatever the umask: the agent, of this group, reads it
        stream.write(text)
        stream.flush()
        os.fsync(file)
    shutil.chown(path, group=group)


def provision(places: Places, name: str, group: str | int = "poleside") -> dict[str, Any]:
    """Look for settings and a label, and make what is missing. Returns what came of it."""
    own = str(small_files.read(places.noted / OUTCOME).get("own", ""))
    is_claimed = (places.agent / "keys" / label.OVER_FILE).exists()
    replaceable = "" if is_claimed else own
    outcome, is_refused = settings_from(places.stick, places.settings, group, replaceable)
    try:
        own = own_settings(places.settings, name, group) or own
        is_own = _hash(places.settings / "poleside.toml") == own
    except (OSError, LookupError) as error:
        outcome, is_own = f"{outcome}; no settings can be made: {error}", False
    told: dict[str, Any] = {"settings": outcome, "is_refused": is_refused}
    told["own"] = own if is_own else ""
    try:
        small_files.write(places.noted / OUTCOME, told)
    except OSError as error:
        print(f"provision: can't be noted: {error}", file=sys.stderr)
    secret, trouble = label.find(places.stick, places.noted, places.agent / "keys")
    socket_trouble = "" if is_claimed else _service_port(places)
    if troubles := "; ".join(one for one in (trouble, socket_trouble) if one):
        told |= {"is_refused": True, "settings": f"{outcome}; {troubles}"}
    told["is_visited"] = is_visited = _is_visited(places)
    # The one socket of a small board is the cameras': there the page is asked for, too, until the
    # first boot after the box was claimed. Never when a box in service has lost its data.
    is_kept = "data=tmpfs" not in _text(places.medium)
    is_new = bool(secret) and is_own
    told["page_at_cameras"] = (is_new or is_visited) and is_kept
    try:
        is_at_cameras = told["page_at_cameras"] and not _has_service_port(places)
        label.tell(places.run, secret, name, group, is_at_cameras=is_at_cameras)
        small_files.write(places.run / STATE, told)
    except (OSError, LookupError) as error:
        print(f"provision: can't be told: {error}", file=sys.stderr)
    return told


def _service_port(places: Places) -> str:
    """Note which socket the stick says is the service port; return what is wrong with its word."""
    source = places.stick / SERVICE_PORT
    try:
        if source.is_symlink() or not source.is_file():
            return ""
        with source.open(encoding="utf-8-sig") as file:
            text = file.read(_MOST_WORD).strip()
    except UnicodeDecodeError:
        return "the service port on the stick is not taken: it is no plain text"
    except OSError:
        return ""  # a stick that can't be read is told by its other files
    known = small_files.read(places.noted / NETWORK)
    kept = known.get("kept") or {}
    try:
        network = network_files.checked(kept | {"service_socket": text})
        if network != kept:
            small_files.write(places.noted / NETWORK, known | {"kept": network}, 0o600)
    except (OSError, ValueError) as error:
        return f"the service port on the stick is not taken: {error}"
    return ""


def _has_service_port(places: Places) -> bool:
    kept = small_files.read(places.noted / NETWORK).get("kept")
    return isinstance(kept, dict) and bool(kept.get("service_socket"))


def _is_visited(places: Places) -> bool:
    """Look without waiting for a stick, as its mount does: a box in service starts at once."""
    label_line = "\nE:ID_FS_LABEL=POLESIDE\n"
    if not any(label_line in _text(one) for one in places.udev.glob("b*")):
        return False
    try:
        return (places.stick / VISIT).is_file()
    except OSError:
        return False


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def main() -> int:
    """Name the box, look for settings. Never fails: a box without settings can be claimed."""
    name = hostname(_text(MACHINE_ID).strip())
    told = provision(Places(), name)
    try:
        run(["hostnamectl", "--transient", "hostname", name])
    except ProgramError as error:
        print(f"provision: no name: {error}", file=sys.stderr)
    print(f"provision: {told['settings']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
