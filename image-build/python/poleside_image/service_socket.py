"""Which socket is the technician's: its name `svc0`, by hardware address or by where it is plugged.

No rule of the image can tell: of two USB sockets neither is the technician's by itself. So it is
said, at the page, by `poleside network set --service-socket`, or on the stick of the first boot. A
socket that is there is renamed at once, and named back when a trial ends; udev, by a `.link` file,
names one that is plugged in later.
"""

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from poleside_image.programs import ProgramError, run

NAME = "svc0"
LINK_FILE = "systemd/network/15-poleside-svc0.link"  # the cameras' socket, 10, stays theirs
_CAMERAS, _ETHERNET = "cam0", "1"
_HARDWARE = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
_PATH = re.compile(r"[A-Za-z0-9]+-[A-Za-z0-9_.:@*?-]{1,199}")  # no space: it would be two


@dataclass(frozen=True, slots=True)
class Socket:
    """A cable's socket as the kernel has it; `path` is udev's ID_PATH, "" when it has none."""

    name: str
    number: int
    hardware: str
    path: str = ""

    def fits(self, wish: str) -> bool:
        by_hardware = _HARDWARE.fullmatch(wish)
        return wish == self.hardware if by_hardware else fnmatch.fnmatchcase(self.path, wish)


def checked(wish: object) -> str:
    """Return it in canonical words, "" for none. Raises `ValueError`."""
    text = str(wish).strip()
    hardware = text.lower().replace("-", ":")
    if _HARDWARE.fullmatch(hardware):
        return hardware
    if text and not _PATH.fullmatch(text):
        raise ValueError(
            "`service_socket` must be as 00:00:5e:00:53:01 or as platform-*-usb-0:1.2:*"
        )
    return text


def link(wish: str) -> str:
    """Return udev's file for sockets that are plugged in later."""
    key = "MACAddress" if _HARDWARE.fullmatch(wish) else "Path"
    return f"[Match]\n{key}={wish}\nType=ether\n\n[Link]\nName={NAME}\nWakeOnLan=off\n"


def sockets(run_folder: Path, net: Path) -> list[Socket]:
    """Return the box's sockets for cables, in the kernel's order; `net` is /sys/class/net."""
    found = []
    for folder in net.glob("*"):
        if not (folder / "device").exists() or (folder / "phy80211").exists():
            continue  # no hardware, or wireless
        try:
            number, kind, hardware = (
                (folder / name).read_text().strip() for name in ("ifindex", "type", "address")
            )
        except OSError:
            continue  # pulled out
        if kind == _ETHERNET:
            path = _path(run_folder / f"udev/data/n{number}")
            found.append(Socket(folder.name, int(number), hardware.lower(), path))
    return sorted(found, key=lambda one: one.number)


def _path(noted: Path) -> str:
    try:
        lines = noted.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    return next((line[10:] for line in lines if line.startswith("E:ID_PATH=")), "")


def renamings(there: list[Socket], wish: str) -> Iterator[tuple[str, str]]:
    """Return old and new name of what is to be renamed, in order: at most one is `NAME` after."""
    others = [one for one in there if one.name != _CAMERAS]
    fitting = [one for one in others if wish and one.fits(wish)]
    # Two may fit a pattern: the one that has the name keeps it, else the first that is there.
    chosen = next((one for one in fitting if one.name == NAME), next(iter(fitting), None))
    for one in others:
        if one.name == NAME and one is not chosen:
            yield NAME, f"net{one.number}"
    if chosen is not None and chosen.name != NAME:
        yield chosen.name, NAME


def take_names(there: list[Socket], wish: str) -> str:
    """Rename what is to be renamed; return what went wrong. networkd then takes it up."""
    failed = []
    for old, new in renamings(there, wish):
        try:
            run(["ip", "link", "set", "dev", old, "down"], within_s=30.0)
            run(["ip", "link", "set", "dev", old, "name", new], within_s=30.0)
        except ProgramError as error:
            failed.append(str(error))
    return "; ".join(failed)
