"""A box takes another's place with its disk: the new identity is staged, and taken up at a start.

`poleside swap box` (or the page) enrols into `keys/next/` with a new key while the old identity is
still in force. The next start of the agent takes it up: identity, signing key (the old one signs
for it where it can), outbox epoch and audit change; recordings, zones, calibration and what waits
for the center stay. Killed in the middle, the next start does it again.
"""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.app.disk_owner import place_of
from agent.buffer import report
from agent.contract.audit import AuditEntry
from agent.core.clock import Clock
from agent.core.errors import PolesideError, StorageError
from agent.core.whole_file import write_whole
from agent.enrol.identity import Identity, IdentityFiles, settings_of
from agent.evidence import key_store
from agent.local.service import shell_key
from agent.outbox.epochs import MARK
from agent.outbox.spool import spool
from agent.settings import history
from agent.settings.load import NOT_DESIRABLE, merge_patch, read_local, write_local

_BEFORE = "before"  # of `agent.enrol.new_ways`: the old identity's, which must not come back


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """Whose disk this is: by its identity, else by its last settings; "" for a new one."""

    place: str
    cameras: tuple[str, ...]
    first_at: datetime | None
    last_until: datetime | None
    bytes: int


def look_at_disk(data_dir: Path, now: datetime) -> DiskFacts:
    """Return what a taken disk holds."""
    rings = []
    with suppress(PolesideError):
        rings = [report.camera_buffer(folder, now) for folder in report.cameras_in(data_dir)]
    return DiskFacts(
        place=place_of(data_dir),
        cameras=tuple(ring.camera_id for ring in rings),
        first_at=min((ring.first_at for ring in rings if ring.first_at), default=None),
        last_until=max((ring.last_until for ring in rings if ring.last_until), default=None),
        bytes=sum(ring.bytes for ring in rings),
    )


def take_up(data_dir: Path, table: dict[str, Any], clock: Clock) -> Identity | None:
    """Take up a staged identity; `table` is this box's file. None when there is none.

    Raises `EnrolError`, `StorageError`.
    """
    coming, present = IdentityFiles.staged(data_dir), IdentityFiles.in_data_dir(data_dir)
    identity = coming.read()
    if identity is None:
        return None
    was = place_of(data_dir)
    try:
        write_whole(data_dir / MARK, b"")
        write_local(data_dir, _local(data_dir, table, identity))
        told = (
            f"{was or 'a new disk'} is {identity.site}/{identity.box}; {_new_key(data_dir, clock)}"
        )
        entry = AuditEntry(command_id="", op="box.swap", actor="box", outcome="done", detail=told)
        spool(data_dir, entry, clock)
        if (data_dir / shell_key.FOLDER).exists():  # a key was let in to the box that this was
            shell_key.leave(data_dir, {"action": "off"})
        shutil.rmtree(data_dir / "keys" / _BEFORE, ignore_errors=True)
        for part in ("key", "certificate", "broker_ca", "center_ca", "center_keys", "identity"):
            with suppress(FileNotFoundError):
                getattr(coming, part).replace(getattr(present, part))
        shutil.rmtree(coming.folder, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            "storage.not_writable",
            f"The new identity can't be taken up in {data_dir}: {error.strerror}.",
            hint="Free or repair the disk; the next start tries again.",
        ) from error
    return identity


def _local(data_dir: Path, table: dict[str, Any], identity: Identity) -> dict[str, Any]:
    """Return what lies over the file now: the old box's own settings, and the new identity."""
    adopted: dict[str, Any] = {}
    versions = history.versions(data_dir)
    if versions:
        adopted = {
            name: value
            for name, value in versions[-1].table.items()
            if name not in NOT_DESIRABLE and table.get(name) != value
        }
    told = settings_of(identity, data_dir)
    told.pop("data_dir")
    local: dict[str, Any] = merge_patch(merge_patch(adopted, read_local(data_dir)), told)
    return local


def _new_key(data_dir: Path, clock: Clock) -> str:
    """Give the place a new signing key, signed for by the old one if that can be used here."""
    try:
        rotation = key_store.rotate_key(
            data_dir, clock.utc_now(), _kind(data_dir), "box", "another box took this place"
        )
    except StorageError as error:
        for name in (key_store.KEY_FILE, key_store.TPM_FILE, key_store.PUBLIC_FILE):
            (data_dir / "keys" / name).unlink(missing_ok=True)  # the start makes a new one
        return f"its signing key can't be used here ({error.code}), a new one is made"
    return f"key {rotation.old.public.fingerprint} signed for {rotation.new.public.fingerprint}"


def _kind(data_dir: Path) -> key_store.KeyKind:
    return "tpm2" if (data_dir / "keys" / key_store.TPM_FILE).exists() else "file"
