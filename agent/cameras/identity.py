"""Whether two looks saw the same camera: no single key decides, because each of them lies.

Serials are left at the factory's sample value, MAC addresses are shared by cheap boards, and some
cameras take a new endpoint id at each start. So two keys must agree and none may speak against it.
"""

import ipaddress
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from agent.cameras.discovery import FoundCamera

_SAMPLE_SERIALS = {"serialnumber", "0123456789", "1234567890", "123456", "000000", "unknown", "n/a"}
_SAMPLE_MACS = {"000000000000", "ffffffffffff", "001122334455", "123456789abc"}
_ARP = Path("/proc/net/arp")


class Identity(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of who a camera is. Empty: not known. `fingerprint` is of its certificate.

    `renames_itself`: its endpoint id was seen to change, and so tells nothing.
    """

    epr: str = ""
    macs: tuple[str, ...] = ()
    serial: str = ""
    maker: str = ""
    model: str = ""
    fingerprint: str = ""
    renames_itself: bool = False


class Match(StrEnum):
    """What a comparison is worth. `DOUBT`: for a technician to decide."""

    SAME = "same"
    DOUBT = "doubt"
    OTHER = "other"


def match(known: Identity, seen: Identity) -> Match:
    """Compare two looks; `SAME` needs two keys that agree and none that contradicts."""
    agree = contradict = 0
    for mine, theirs in _strong(known, seen):
        if mine and theirs:
            agree += mine == theirs
            contradict += mine != theirs
    macs = set(_real_macs(known)), set(_real_macs(seen))
    if all(macs):
        agree += bool(macs[0] & macs[1])
        contradict += not macs[0] & macs[1]
    agree += bool(known.epr) and known.epr == seen.epr  # a new one means nothing
    has_strong = agree > 0
    agree += _same_make(known, seen)
    if contradict:
        return Match.DOUBT if has_strong else Match.OTHER
    if agree >= 2:
        return Match.SAME
    return Match.DOUBT if agree else Match.OTHER


def is_strange(known: Identity, seen: Identity) -> bool:
    """Say whether somebody else may be there, by what is `seen` without a login.

    A new endpoint id alone says little, as some cameras make one at each start: a MAC that is
    known outweighs it.
    """
    if contradicts(known, seen):
        return True
    is_renamed = bool(known.epr and seen.epr) and known.epr != seen.epr
    is_renamed = is_renamed and not known.renames_itself
    return is_renamed and not {*_real_macs(known)} & {*_real_macs(seen)}


def contradicts(known: Identity, seen: Identity) -> bool:
    """Say whether a strong key of both speaks against one camera."""
    macs = set(_real_macs(known)), set(_real_macs(seen))
    return any(mine and theirs and mine != theirs for mine, theirs in _strong(known, seen)) or (
        all(macs) and not macs[0] & macs[1]
    )


def shares_key(known: Identity, seen: Identity) -> bool:
    """Say whether one key of its own is in both."""
    is_named = bool(known.epr) and known.epr == seen.epr
    macs = {*_real_macs(known)} & {*_real_macs(seen)}
    return (
        is_named or bool(macs) or bool(known.fingerprint and known.fingerprint == seen.fingerprint)
    )


def merged(known: Identity, seen: Identity) -> Identity:
    """Return what is known after a second look at the same camera; the newer word counts."""
    values = {
        name: getattr(seen, name) or getattr(known, name) for name in Identity.__struct_fields__
    }
    return Identity(**values)


def identity_of(found: FoundCamera, *, arp: Path = _ARP) -> Identity:
    """Return what a camera shows without a login: its announcement and its MAC on our own LAN.

    The MAC that the kernel knows counts: what a camera announces may be copied from another.
    """
    host = urlsplit(found.url).hostname or found.address
    mac = mac_of(host, arp=arp) or plain_mac(found.scope("MAC"))
    return Identity(
        epr=found.epr,
        macs=(mac,) if mac else (),
        model=found.scope("hardware"),
    )


def mac_of(host: str, *, arp: Path = _ARP) -> str:
    """Return the MAC address the kernel knows for a neighbour, empty when it knows none."""
    try:
        wanted = str(ipaddress.ip_address(host))
        rows = arp.read_text("ascii").splitlines()[1:]
    except (ValueError, OSError):
        return ""
    fields = (row.split() for row in rows)
    whole = (f for f in fields if len(f) > 3 and f[2] != "0x0")  # 0x0: asked, not answered
    return next((plain_mac(f[3]) for f in whole if f[0] == wanted), "")


def epr_of(guid: str) -> str:
    """Return an endpoint id as it is announced; empty when there is none."""
    guid = guid.strip().lower()[:128]
    return guid if not guid or guid.startswith("urn:") else f"urn:uuid:{guid}"


def plain_mac(mac: str) -> str:
    """Return twelve lower-case hex digits."""
    return "".join(c for c in mac.lower() if c in "0123456789abcdef")


def _strong(known: Identity, seen: Identity) -> tuple[tuple[str, str], tuple[str, str]]:
    return (
        (_real_serial(known), _real_serial(seen)),
        (known.fingerprint, seen.fingerprint),
    )


def _real_serial(identity: Identity) -> str:
    serial = identity.serial.strip().lower()
    return "" if serial in _SAMPLE_SERIALS or len(set(serial)) < 2 else serial


def _real_macs(identity: Identity) -> list[str]:
    return [mac for mac in identity.macs if mac not in _SAMPLE_MACS and len(mac) == 12]


def _same_make(known: Identity, seen: Identity) -> bool:
    makers = known.maker.strip().lower(), seen.maker.strip().lower()
    models = known.model.strip().lower(), seen.model.strip().lower()
    return (
        bool(models[0]) and models[0] == models[1] and (not all(makers) or makers[0] == makers[1])
    )
