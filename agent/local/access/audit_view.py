"""The audit chain as a person reads it: who saw, moved, exported or changed what; is it whole."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from agent.contract.audit import AuditEntry, AuditRecord
from agent.local.access.people import ALL_CAMERAS, Person

MOST_READ: Final = 2000  # of the newest: more are at the center
ROWS: Final = 100
_EXPORTS: Final = (
    "bundle",
    "clip.export",
    "clip.masked",
    "usb.export",
    "bundle.make",
    "report.make",
)
_SAW: Final = (
    *("page.view", "console.view", "snapshot", "clip", "playback", "search", "grant", "policy"),
    "incident",
)
KINDS: Final = {
    "saw": (*_SAW, *_EXPORTS),
    "moved": ("ptz", "camera.aim"),
    "exported": _EXPORTS,
    "changed": (
        *("settings", "config", "camera", "key", "page.people", "box", "lock", "unlock", "network"),
        *("page.shell", "output", "relay", "sign", "talk", "enrol", "update", "system", "verdict"),
        "nuisance",
    ),
    "came": ("page.login", "page.logout", "page.claim", "page.refused", "claim"),
}
_WORD: Final = re.compile(r"[a-z0-9][a-z0-9-]*")  # as a camera's id is written
_NOT_CHANGED: Final = ("camera.aim",)


@dataclass(frozen=True, slots=True)
class ChainCheck:
    """What checking the entries against one another says; `broken` names the first that fails."""

    entries: int
    is_whole: bool
    broken_seq: int | None = None


def is_of(op: str, kind: str) -> bool:
    """Say whether an operation is of a kind; every one is of a kind there is not."""
    if kind not in KINDS:
        return True
    if kind == "changed" and op in _NOT_CHANGED:
        return False
    return any(op == name or op.startswith(f"{name}.") for name in KINDS[kind])


def chosen(
    records: Sequence[AuditRecord], kind: str, who: str, reader: Person
) -> list[AuditRecord]:
    """Return the newest entries of a kind by somebody that are the reader's, at most `ROWS`."""
    who = who.strip().lower()
    found = [
        record
        for record in records
        if is_of(record.data.op, kind)
        and who in f"{record.data.actor} {record.data.agency}".lower()
        and is_for(record.data, reader)
    ]
    return found[:ROWS]


def is_for(entry: AuditEntry, reader: Person) -> bool:
    """Say whether an entry is a person's to read: his own, or one that names a camera of his."""
    if ALL_CAMERAS in reader.cameras or entry.actor == f"page:{reader.name}":
        return True
    return not set(_WORD.findall(entry.detail)).isdisjoint(reader.cameras)


def check_chain(records: Sequence[AuditRecord], head: str) -> ChainCheck:
    """Check entries (newest first) against one another and against the box's head."""
    expected = head
    for record in records:
        if record.data.hash != expected or not record.data.is_sealed():
            return ChainCheck(len(records), is_whole=False, broken_seq=record.seq)
        expected = record.data.prev
    return ChainCheck(len(records), is_whole=True)
