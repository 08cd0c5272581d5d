"""Over which line the box reaches its broker now: by the kernel's own routes, fibre or LTE.

Which line is taken while the fibre is down is the system's choice (the routes' metrics; the
appliance's are in `image-build/rootfs`). The link looks before it connects, so that keepalive and
data budget are those of the line, and connects anew when the way has changed under it. The name is
looked up before a connection only; while it stands nothing is sent to find out.
"""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, Literal, Protocol

import psutil
from msgspec.structs import replace

from agent.core import log
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.settings.model import BrokerSettings
from agent.uplink.client import Ends
from agent.uplink.endpoint import Endpoint

_LOOK_EVERY_S = 5.0
_SURE_AFTER = 2  # looks; a line that comes and goes is not followed each time


@dataclass(frozen=True, slots=True)
class Way:
    """One way out of the box; of an address that no interface has (any more) there is no name."""

    interface: str
    kind: Literal["wired", "lte"]


def way_to(endpoint: Endpoint, lte_interfaces: Sequence[str]) -> Way | None:
    """Return how the kernel would reach the broker now; None when it can't, or no name is known.

    Blocking when the name has to be looked up.
    """
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_DGRAM)
    except OSError:
        return None
    ways = (way_over(family, there, lte_interfaces) for family, _, _, _, there in found)
    return next((way for way in ways if way is not None), None)


def way_over(family: int, peer: Any, lte_interfaces: Sequence[str]) -> Way | None:
    """Return how the kernel would reach this socket address now; None when it can't."""
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(peer)  # of a datagram socket: a question to the routes, no packet
        return way_from(str(probe.getsockname()[0]), lte_interfaces)
    return None


def way_from(address: str, lte_interfaces: Sequence[str]) -> Way:
    """Return the way that begins at one of the box's addresses."""
    interface = next(
        (
            name
            for name, known in psutil.net_if_addrs().items()
            if any(one.address.partition("%")[0] == address.partition("%")[0] for one in known)
        ),
        "",
    )
    is_lte = any(fnmatch(interface, pattern) for pattern in lte_interfaces)
    return Way(interface, "lte" if is_lte else "wired")


class Carrier:
    """The line of the present connection. Settings that name one take the choice away."""

    def __init__(self) -> None:
        self.way: Way | None = None
        self._ends: tuple[Endpoint, Ends] | None = None  # of the last connection looked at

    async def choose(self, endpoint: Endpoint, broker: BrokerSettings) -> BrokerSettings:
        """Return the settings as they are for the connection that is about to begin."""
        self.way = None
        if broker.link != "auto":
            return broker
        self.way = await asyncio.to_thread(way_to, endpoint, broker.lte_interfaces)
        if self.way is None and self._ends is not None and self._ends[0] == endpoint:
            ends = self._ends[1]
            self.way = way_over(ends.family, ends.peer, broker.lte_interfaces)
        # A line that can't be told is treated as the dear one.
        return replace(broker, link=self.way.kind if self.way else "lte")

    def is_another(self, endpoint: Endpoint, ends: Ends | None, broker: BrokerSettings) -> bool:
        """Say whether a connection made now would take another way than the one with these ends.

        It would when its own address is gone, too; a new one beside it is no reason.
        """
        if broker.link != "auto" or ends is None:
            return False
        self._ends = endpoint, ends
        now = way_over(ends.family, ends.peer, broker.lte_interfaces)
        if now is None:
            return False
        taken_for = self.way.kind if self.way else "lte"
        used = way_from(ends.address, broker.lte_interfaces)
        return now.interface != used.interface or now.kind != taken_for


class Movable(Protocol):
    """A link, as far as the watch needs it."""

    def has_another_way(self) -> bool: ...

    def connect_anew(self) -> None: ...


class CarrierWatch(Service):
    """Has the link connect anew once its way has changed for good."""

    name = "uplink.carrier"

    def __init__(self, clock: Clock, link: Movable) -> None:
        super().__init__(clock)
        self._link = link
        self._log = log.get(self.name)

    async def run(self) -> None:
        seen = 0
        while True:
            await self._clock.sleep_s(to_tick_s(self._clock, _LOOK_EVERY_S))
            seen = seen + 1 if self._link.has_another_way() else 0
            if seen >= _SURE_AFTER:
                self._log.info("another line now")
                self._link.connect_anew()
                seen = 0
            self.progressed()
