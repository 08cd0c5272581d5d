"""What people do at the box while the core may be away: noted at once, chained as soon as it can.

One file, `audit/spool.jsonl`, appended to and flushed by whoever does something (`poleside clip
export`, a lock, a new key), under a lock. Its lines are linked like the audit chain itself, so a
line that was changed or taken out before the core came to it is seen. The core alone removes it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path

import msgspec
from msgspec import Struct

from agent.contract.audit import CHAIN_START, AuditEntry
from agent.core.clock import Clock
from agent.core.ids import new_ulid

FOLDER, FILE = "audit", "spool.jsonl"


class SpooledEntry(Struct, frozen=True, kw_only=True):
    """One line. `entry` is sealed behind the line before."""

    id: str
    entry: AuditEntry


@dataclass(frozen=True, slots=True)
class Spooled:
    """What lies in the spool. `is_whole`: every line follows the one before.

    `is_torn`: the last line lost its end to a power cut; nobody was told that it is on the disk.
    """

    entries: tuple[SpooledEntry, ...]
    is_whole: bool
    is_torn: bool = False


def spool(data_dir: Path, entry: AuditEntry, clock: Clock) -> None:
    """Note what was done, for the audit chain; on the disk when this returns. Raises `OSError`."""
    now = clock.utc_now()
    folder = data_dir / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    with _locked(folder, "a+b") as file:
        owner = data_dir.stat()
        if os.geteuid() == 0:  # the agent, another user, takes it from here
            os.chown(folder, owner.st_uid, owner.st_gid)
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        last = _parse(file)
        before = last.entries[-1].entry.hash if last.entries else CHAIN_START
        sealed = msgspec.structs.replace(entry, at=entry.at or now).sealed(before)
        line = SpooledEntry(id=new_ulid(now), entry=sealed)
        file.write(b"\n" * last.is_torn + msgspec.json.encode(line) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_spool(data_dir: Path) -> Spooled:
    """Return what was noted since the spool was last removed. Raises `OSError`."""
    folder = data_dir / FOLDER
    if not (folder / FILE).exists():
        return Spooled((), is_whole=True)
    with _locked(folder, "rb") as file:
        return _parse(file)


def remove_spool(data_dir: Path, taken: Spooled) -> bool:
    """Remove the spool once all of it is chained; not when a line came since. Raises `OSError`."""
    folder = data_dir / FOLDER
    with _locked(folder, "rb") as file:
        if len(_parse(file).entries) != len(taken.entries):
            return False
        (folder / FILE).unlink()
    return True


@contextmanager
def _locked(folder: Path, mode: str) -> Iterator[BufferedRandom]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with (folder / FILE).open(mode) as file:
            yield file  # type: ignore[misc]  # binary in every mode used here
    finally:
        os.close(handle)


def _parse(file: BufferedRandom) -> Spooled:
    """Read what can be read: a torn line leaves the links around it whole."""
    file.seek(0)
    text = file.read()
    entries: list[SpooledEntry] = []
    is_whole, before = True, CHAIN_START
    for line in text.splitlines():
        try:
            found = msgspec.json.decode(line, type=SpooledEntry)
        except msgspec.MsgspecError:
            continue
        is_whole = is_whole and found.entry.prev == before and found.entry.is_sealed()
        before = found.entry.hash
        entries.append(found)
    return Spooled(tuple(entries), is_whole, bool(text) and not text.endswith(b"\n"))
