"""A key's successor, on the old key's word: what lets evidence outlive a change of keys.

Every hand-over is a line of `keys/handovers.jws`, goes with each clip made after it, and to the
center. Whoever knows either key can then check what the other one signed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from agent.evidence import jws
from agent.evidence.box_key import BoxKey, PublicKey

HANDOVERS_FILE = "handovers.jws"
_TYP = "poleside-key-handover+json"


class Handover(Struct, frozen=True, kw_only=True):
    """What the old key signs: from `at` on, `new` signs for this box. `kind` is of the new key."""

    old: PublicKey
    new: PublicKey
    at: datetime
    kind: str
    by: str = ""
    reason: str = ""


class _WithHandovers(Struct, frozen=True):
    handovers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trusted:
    """A key that signed for the box, until `until` (None: still)."""

    key: PublicKey
    until: datetime | None = None


def sign_handover(handover: Handover, old: BoxKey) -> str:
    """Return the hand-over as the old key signs it (compact JWS)."""
    return jws.sign(_TYP, msgspec.json.encode(handover), old).decode()


def open_handover(token: str) -> Handover | None:
    """Return what a hand-over says; None unless its old key signed it."""
    try:
        opened = jws.open_token(token.encode())
        handover = msgspec.json.decode(opened.payload, type=Handover)
    except (ValueError, msgspec.MsgspecError):
        return None
    is_true = opened.is_signed and opened.typ == _TYP and opened.key == handover.old
    return handover if is_true else None


def predecessors(key: PublicKey, tokens: Iterable[str]) -> dict[str, Trusted]:
    """Return, by fingerprint, `key` and every key that hand-overs lead to it from."""
    handovers = [one for token in tokens if (one := open_handover(token)) is not None]
    trusted = {key.fingerprint: Trusted(key)}
    reached = [key]
    while reached:
        successor = reached.pop()
        for one in handovers:
            if one.new == successor and one.old.fingerprint not in trusted:
                trusted[one.old.fingerprint] = Trusted(one.old, one.at)
                reached.append(one.old)
    return trusted


def read_handovers(data_dir: Path) -> tuple[str, ...]:
    """Return the hand-overs of the box whose data folder this is, oldest first."""
    try:
        return tuple((data_dir / "keys" / HANDOVERS_FILE).read_text("ascii").split())
    except (OSError, ValueError):
        return ()


def handover_to(key: PublicKey, data_dir: Path) -> str:
    """Return the box's hand-over to this key; "" for its first one."""
    found = (token for token in read_handovers(data_dir) if _is_to(key, token))
    return next(found, "")


def _is_to(key: PublicKey, token: str) -> bool:
    handover = open_handover(token)
    return handover is not None and handover.new == key


def handovers_in(key_file: Path) -> tuple[str, ...]:
    """Return the hand-overs that `poleside clip key` wrote beside the key; none of another file."""
    try:
        return msgspec.json.decode(key_file.read_bytes(), type=_WithHandovers).handovers
    except (OSError, msgspec.MsgspecError):
        return ()
