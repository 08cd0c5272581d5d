"""Whether two looks saw the same camera: no single key decides, because each of them lies.

Serials are left at the factory's sample value, MAC addresses are shared by cheap boards, and some
cameras take a new endpoint id at each start. So two keys must agree and none may speak against it.
"""

from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct, structs

from agent.cameras.discovery import FoundCamera
from agent.core.shown import ARP, Shown, Verdict, learned, mac_of, plain_mac, weigh

_SAMPLE_SERIALS = {"serialnumber", "0123456789", "1234567890", "123456", "000000", "unknown", "n/a"}
_SAMPLE_MACS = {"000000000000", "ffffffffffff", "001122334455", "123456789abc"}


class Identity(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of who a camera is. Empty: not known. `fingerprint` is of its certificate.

    `renames_itself`: its endpoint id was seen to change, and so tells nothing. `shown` is what of
    it anybody can see without a login.
    """

    epr: str = ""
    macs: tuple[str, ...] = ()
    serial: str = ""
    maker: str = ""
    model: str = ""
    fingerprint: str = ""
    renames_itself: bool = False
    shown: Shown = Shown()

    @property
    def is_met(self) -> bool:
        """Whether it has told who it is, after a login."""
        return bool(self.serial or self.maker or self.model)


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


def weighed(known: Identity, seen: Shown, shared_macs: frozenset[str] = frozenset()) -> Verdict:
    """Weigh what is `seen` without a login; `shared_macs` tell nothing, as two devices have them.

    Where it was not noted what the camera shows openly, what is seen must not speak against it.
    """
    shown = known.shown
    if shown == Shown():
        mac = seen.mac if seen.mac in known.macs else next(iter(_real_macs(known)), "")
        shown = Shown(
            epr=known.epr and seen.epr and known.epr,
            mac=seen.mac and mac,
            fingerprint=seen.fingerprint and known.fingerprint,
        )
    if known.renames_itself:
        shown, seen = structs.replace(shown, epr=""), structs.replace(seen, epr="")
    told_mac = "" if seen.mac in shared_macs | _SAMPLE_MACS else seen.mac
    if shown.mac in shared_macs | _SAMPLE_MACS:
        shown = structs.replace(shown, mac="")
    return weigh(shown, structs.replace(seen, mac=told_mac))


def without_macs(identity: Identity, shared: frozenset[str]) -> Identity:
    """Return it without the MAC addresses that two live devices have."""
    return structs.replace(identity, macs=tuple(mac for mac in identity.macs if mac not in shared))


def merged(known: Identity, seen: Identity) -> Identity:
    """Return what is known after a second look at the same camera; the newer word counts."""
    values = {
        name: getattr(seen, name) or getattr(known, name) for name in Identity.__struct_fields__
    }
    values["shown"] = learned(known.shown, seen.shown)
    return Identity(**values)


def identity_of(found: FoundCamera, *, arp: Path = ARP) -> Identity:
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


def device_of(camera: FoundCamera) -> object:
    """Return what stands for a device, whichever of its addresses it answered from."""
    macs = identity_of(camera).macs
    return (camera.epr, macs) if camera.epr and macs else camera.url


def epr_of(guid: str) -> str:
    """Return an endpoint id as it is announced; empty when there is none."""
    guid = guid.strip().lower()[:128]
    return guid if not guid or guid.startswith("urn:") else f"urn:uuid:{guid}"


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
