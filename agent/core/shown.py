"""Who is at an address, by what anybody there shows before a login: weighed before one is sent.

Used by both of a camera's lines: ONVIF (`agent.cameras.recognition`, core process) and video
(`agent.ingest.admission`, the camera's worker). A key alone decides nothing, as each can be copied.
"""

import ipaddress
from enum import StrEnum
from pathlib import Path

from msgspec import Struct, structs

ARP = Path("/proc/net/arp")
_OWN = ("mac", "fingerprint")


class Shown(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is shown openly; empty: nothing of that kind.

    `epr` is ONVIF's endpoint id, `mac` the address our own network knows it by, `fingerprint` of
    its certificate; `realm` is of the login it asks for: many cameras of one make say the same.
    """

    epr: str = ""
    mac: str = ""
    fingerprint: str = ""
    realm: str = ""


class Verdict(StrEnum):
    """What a look is worth.

    `NAMELESS`: ours by two keys, but not by the endpoint id we know. `UNPROVEN`: all that is known
    of ours agrees, but that is less than two keys.
    """

    OURS = "ours"
    NAMELESS = "nameless"
    UNPROVEN = "unproven"
    STRANGER = "stranger"


def weigh(known: Shown, seen: Shown) -> Verdict:
    """Compare what our camera shows with what is seen.

    Two keys must agree (so one of them is its own) and no other MAC address or certificate be
    there. A key that is known and now missing or another, such as a new endpoint id or a realm
    after an update, is outweighed by two that agree.
    """
    if any(getattr(known, k) and getattr(seen, k) not in ("", getattr(known, k)) for k in _OWN):
        return Verdict.STRANGER
    names = [name for name in Shown.__struct_fields__ if getattr(known, name)]
    agree = [name for name in names if getattr(known, name) == getattr(seen, name)]
    if len(agree) > 1:
        return Verdict.OURS if "epr" in agree or not known.epr else Verdict.NAMELESS
    return Verdict.UNPROVEN if agree == names else Verdict.STRANGER


def learned(known: Shown, seen: Shown) -> Shown:
    """Return what is known after another look at the same camera; the newer word counts."""
    told = {name: value for name, value in structs.asdict(seen).items() if value}
    return structs.replace(known, **told)


def mac_of(host: str, *, arp: Path = ARP) -> str:
    """Return the MAC address the kernel knows for a neighbour, empty when it knows none."""
    try:
        wanted = str(ipaddress.ip_address(host))
        rows = arp.read_text("ascii").splitlines()[1:]
    except (ValueError, OSError):
        return ""
    fields = (row.split() for row in rows)
    whole = (f for f in fields if len(f) > 3 and f[2] != "0x0")  # 0x0: asked, not answered
    return next((plain_mac(f[3]) for f in whole if f[0] == wanted), "")


def plain_mac(mac: str) -> str:
    """Return twelve lower-case hex digits."""
    return "".join(c for c in mac.lower() if c in "0123456789abcdef")
