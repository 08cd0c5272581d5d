"""Finding a camera that has moved to another address: probed each 30 s, heard at once by Hello.

Where the group brings it not, all addresses beside its last one are asked, each once: a switch or a
router may keep the group's letters from it, and a camera seldom moves out of its network.
Nobody logs in here: who answers is compared by what it shows unasked. Two keys that agree are the
camera; one alone is a candidate, for a technician to look at. One that says Bye is asked at once
whether it is still there. Core process.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from agent.cameras import discovery
from agent.cameras.discovery import FoundCamera
from agent.cameras.identity import Identity, Match, device_of, identity_of, match, without_macs
from agent.core import log
from agent.core.clock import Clock
from agent.core.shown import mac_of

EVERY_S = 30.0
_WAIT_S = 2.0
_MOST_HEARD = 256
SHARED_S = 3600.0  # so long after two devices had one MAC address, it tells nothing
_HELLO_S = 60.0  # so long a Hello counts: each camera that is lost looks at it


class CameraSearch(asyncio.DatagramProtocol):
    """Shared by all cameras: one ear for Hello, one probe at a time."""

    def __init__(
        self,
        clock: Clock,
        *,
        interfaces: Callable[[], tuple[str, ...]] = lambda: tuple(discovery.own_addresses()),
        port: int = discovery.PORT,
    ) -> None:
        self._clock, self._interfaces, self._port = clock, interfaces, port
        self._log = log.get("camera-search")
        self._asking = asyncio.Lock()
        self._transport: asyncio.DatagramTransport | None = None
        self._is_open = False
        self._joined_mono_s = 0.0
        self._heard: dict[str, tuple[float, FoundCamera]] = {}
        self._left: dict[str, None] = {}
        self._probed: tuple[FoundCamera, ...] = ()
        self._probed_mono_s: float | None = None
        self._beside_of: dict[str, tuple[float, tuple[FoundCamera, ...]]] = {}
        self._twins: dict[str, tuple[float, str]] = {}
        self._live: dict[str, tuple[str, Identity]] = {}
        self.news = asyncio.Event()

    @property
    def shared_macs(self) -> frozenset[str]:
        """The MAC addresses that two devices had at the same time: they tell nothing."""
        since_s = self._clock.monotonic_s() - SHARED_S
        return frozenset(mac for mac, (at_s, _) in self._twins.copy().items() if at_s > since_s)

    def met(self, camera_id: str, url: str, identity: Identity) -> str:
        """Note where a camera of ours is just now; return where two have its MAC address, if so."""
        self._live[camera_id] = url, identity
        self._note_twins(
            (mac, _place(url), url) for url, who in self._live.values() for mac in who.macs
        )
        return self.twins_of(identity)

    def twins_of(self, identity: Identity) -> str:
        """Return where two devices are that have its MAC address, empty if there are none."""
        shared = self.shared_macs.intersection(identity.macs)
        return next((self._twins[mac][1] for mac in sorted(shared)), "")

    def missed(self, camera_id: str) -> None:
        """A camera of ours is not there any more."""
        self._live.pop(camera_id, None)

    def _note_answers(self, cameras: Iterable[FoundCamera]) -> None:
        self._note_twins(
            (mac, camera.epr or _place(camera.url), camera.url)
            for camera in cameras
            for mac in identity_of(camera).macs
        )

    def _note_twins(self, bearers: Iterable[tuple[str, str, str]]) -> None:
        """Note the MAC addresses that two devices have at once, of (MAC, device, URL)."""
        devices: dict[str, dict[str, str]] = {}
        for mac, device, url in bearers:
            devices.setdefault(mac, {})[device] = urlsplit(url).netloc
        for mac, at in devices.items():
            if len(at) > 1:
                where = ", ".join(sorted(set(at.values())))
                if mac not in self._twins:
                    self._log.warning("two devices have one MAC address", mac=mac, at=where)
                self._twins[mac] = self._clock.monotonic_s(), where

    async def open(self) -> None:
        """Begin to listen, once, and on interfaces that came since when called again.

        Where the port can't be had, probing alone must do.
        """
        now_s = self._clock.monotonic_s()
        if self._is_open:
            if self._transport is not None and now_s - self._joined_mono_s >= EVERY_S:
                self._joined_mono_s = now_s
                discovery.join(self._transport.get_extra_info("socket"), self._interfaces())
            return
        self._is_open, self._joined_mono_s = True, now_s
        try:
            heard = discovery.listening_socket(self._interfaces(), port=self._port)
        except OSError as error:
            self._log.info("no Hello will be heard", reason=str(error))
            return
        heard.setblocking(False)
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=heard)

    def close(self) -> None:
        """Stop listening."""
        self._is_open = False
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if b"Hello" not in data and b"Bye" not in data:
            return
        for camera in discovery.read_announcement(data, addr[0]):
            self._heard.pop(camera.epr, None)
            if camera.is_bye:
                self._left.pop(camera.epr, None)
                self._left[camera.epr] = None
                _drop_oldest(self._left)
            elif camera.url:
                self._heard[camera.epr] = self._clock.monotonic_s(), camera
                _drop_oldest(self._heard)
                self.news.set()

    def has_left(self, epr: str) -> bool:
        """Say, once, whether a camera said goodbye."""
        has_left = epr in self._left
        self._left.pop(epr, None)
        return has_left

    async def find(
        self, wanted: Identity, last_url: str = ""
    ) -> tuple[FoundCamera | None, tuple[FoundCamera, ...]]:
        """Return the camera if it is there for certain, and those that might be it.

        Who answers now is believed before who said hello some time ago, and of those the last one.
        """
        around = await self._around()
        since_s = self._clock.monotonic_s() - _HELLO_S
        self._heard = {epr: told for epr, told in self._heard.items() if told[0] > since_s}
        heard = [camera for _, camera in self._heard.values()]
        self.news.clear()
        found, candidates = self._judge(wanted, heard, around)
        if found is None and (beside := await self._beside(last_url)):
            return self._judge(wanted, heard, (*around, *beside))
        return found, candidates

    def _judge(
        self, wanted: Identity, heard: Sequence[FoundCamera], around: Sequence[FoundCamera]
    ) -> tuple[FoundCamera | None, tuple[FoundCamera, ...]]:
        self._note_answers(around)
        shared = self.shared_macs
        known = without_macs(wanted, shared)
        verdicts = [
            (match(known, without_macs(identity_of(camera), shared)), camera)
            for camera in (*heard, *around)
        ]
        sure = {c.url: c for verdict, c in verdicts[len(heard) :] if verdict is Match.SAME}
        if not sure:
            sure = dict([(c.url, c) for verdict, c in verdicts if verdict is Match.SAME][-1:])
        if len(sure) == 1 or _is_one(known, sure.values()):
            return next(iter(sure.values())), ()
        doubtful = {device_of(c): c for verdict, c in verdicts if verdict is Match.DOUBT}
        return None, (*sure.values(), *doubtful.values())  # two that claim to be it: neither is

    async def _around(self) -> tuple[FoundCamera, ...]:
        """Return who answers a probe; several cameras that are lost share one."""
        async with self._asking:
            now_s = self._clock.monotonic_s()
            if self._probed_mono_s is not None and now_s - self._probed_mono_s < _WAIT_S:
                return self._probed
            interfaces = self._interfaces()
            with suppress(socket.error):
                self._probed = await asyncio.to_thread(
                    discovery.probe,
                    self._clock,
                    interfaces=interfaces,
                    wait_s=_WAIT_S,
                    port=self._port,
                )
            self._probed_mono_s = self._clock.monotonic_s()
            return self._probed

    async def _beside(self, url: str) -> tuple[FoundCamera, ...]:
        """Ask the private /24 that an address lies in, seldom; cameras there share the answers."""
        network = _network(url)
        if not network:
            return ()
        async with self._asking:
            asked_s, found = self._beside_of.get(network, (None, ()))
            if asked_s is not None and self._clock.monotonic_s() - asked_s < EVERY_S - _WAIT_S:
                return found
            found = await asyncio.to_thread(
                discovery.probe_hosts,
                self._clock,
                (network,),
                wait_s=_WAIT_S,
                port=self._port,
                sends=1,
            )
            self._beside_of[network] = self._clock.monotonic_s(), found
            return found


def _is_one(wanted: Identity, cameras: Collection[FoundCamera]) -> bool:
    """Say whether all are one camera with several addresses: one endpoint id, MACs of ours."""
    macs = [set(identity_of(camera).macs) & set(wanted.macs) for camera in cameras]
    return bool(macs) and all(macs) and {c.epr for c in cameras} == {wanted.epr} != {""}


def _drop_oldest(told: dict[str, Any]) -> None:
    """Make room: bogus ones of many names must not keep out those that come."""
    while len(told) > _MOST_HEARD:
        del told[next(iter(told))]


def _place(url: str) -> str:
    """Return what stands for the device at a URL: its host, where our own network knows that."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return host if mac_of(host) else parts.netloc


def _network(url: str) -> str:
    """Return the private IPv4 network of 256 addresses that a URL's host lies in, else nothing."""
    try:
        network = ipaddress.IPv4Network(f"{urlsplit(url).hostname}/24", strict=False)
    except ValueError:
        return ""
    return str(network) if network.is_private else ""
