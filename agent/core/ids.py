"""Identifiers: ULIDs sort by time and need no coordination (https://github.com/ulid/spec)."""

import secrets
from datetime import datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32


def new_ulid(at: datetime) -> str:
    """Return a fresh 26-character ULID: 48 bits of `at` in milliseconds, 80 random bits."""
    value = (int(at.timestamp() * 1000) << 80) | secrets.randbits(80)
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


def new_epoch() -> str:
    """Return a random 8-character token for a freshly made outbox."""
    return secrets.token_hex(4)
