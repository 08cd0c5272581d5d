"""Identifiers: ULIDs sort by time and need no coordination (https://github.com/ulid/spec)."""

import secrets
from datetime import UTC, datetime, timedelta

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base 32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_ulid(at: datetime) -> str:
    """Return a fresh 26-character ULID: 48 bits of `at` in milliseconds, 80 random bits.

    `at` must be aware. Times before 1970 (a box whose clock is broken) count as 1970.
    """
    milliseconds = max(0, (at - _EPOCH) // timedelta(milliseconds=1))
    value = (milliseconds << 80) | secrets.randbits(80)
    return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


def new_epoch() -> str:
    """Return a random 8-character token for a freshly made outbox."""
    return secrets.token_hex(4)
