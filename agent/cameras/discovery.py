"""Finding cameras: our own WS-Discovery probe on every interface, and to given hosts.

UDP may be lost (WS-Discovery 1.0 says so), so each interface is asked up to three times: until one
has been answered and brings nobody new, whatever came in at the others. A given host is asked until
it answers. Only probes are sent and only answers are read: nobody can use the box as a reflector.
Blocking; the core calls it in a thread. Nothing here logs in anywhere.
"""

import ipaddress
import selectors
import socket
import uuid
from asyncio.trsock import TransportSocket
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

import psutil
from lxml import etree

from agent.cameras.address import repair_service_url
from agent.cameras.port import CameraBadResponse
from agent.cameras.soap_answer import parse
from agent.cameras.xml_text import everywhere, local, text
from agent.core.clock import Clock

GROUP, PORT = "239.255.255.250", 3702
SENDS = 3
WAIT_S = 3.0
_BETWEEN_S = 0.5
_BURST, _BURST_PAUSE_S = 16, 0.02
_MAX_DATAGRAM = 65_535
_MAX_FOUND = 1024
_MAX_HOSTS = 4096
_DISCOVERY_NS = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
_PROBE = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
    f'xmlns:d="{_DISCOVERY_NS}" xmlns:dn="http://www.onvif.org/ver10/network/wsdl"><s:Header>'
    f"<a:Action>{_DISCOVERY_NS}/Probe</a:Action><a:MessageID>urn:uuid:%s</a:MessageID>"
    "<a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To></s:Header><s:Body><d:Probe>"
    "<d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></s:Body></s:Envelope>"
)


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """What a camera says of itself unasked for a login. `url` is its device service, as reached."""

    address: str
    url: str
    epr: str
    scopes: tuple[str, ...] = ()
    is_bye: bool = False

    def scope(self, name: str) -> str:
        """Return what stands behind `onvif://www.onvif.org/<name>/` in its scopes."""
        for scope in self.scopes:
            kind, _, value = _split(scope).path.strip("/").partition("/")
            if kind.lower() == name.lower() and value:
                return unquote(value)
        return ""


def probe(
    clock: Clock,
    *,
    interfaces: Iterable[str] | None = None,
    wait_s: float = WAIT_S,
    port: int = PORT,
) -> tuple[FoundCamera, ...]:
    """Ask all cameras in the neighbourhood, from each of our addresses (None: all there are)."""
    sources = list(interfaces) if interfaces is not None else list(own_addresses())
    targets = {source: [(GROUP, port)] for source in sources}
    return _ask_around(clock, targets, wait_s)


def probe_hosts(
    clock: Clock,
    hosts: Iterable[str],
    *,
    wait_s: float = WAIT_S,
    port: int = PORT,
    sends: int = SENDS,
) -> tuple[FoundCamera, ...]:
    """Ask given addresses or subnets ("10.0.0.0/24") one by one, past routers and VLANs."""
    targets = [(host, port) for host in each_host(hosts)]
    return _ask_around(clock, {"": targets}, wait_s, sends)


def each_host(hosts: Iterable[str]) -> Iterator[str]:
    """Yield addresses, subnets opened up. Raises `ValueError` for what is neither, or too many."""
    count = 0
    for given in hosts:
        network = ipaddress.ip_network(given.strip(), strict=False)
        count += network.num_addresses
        if count > _MAX_HOSTS:
            raise ValueError(f"more than {_MAX_HOSTS} addresses")
        yield from (str(host) for host in network.hosts())


def is_beside(host: str, interfaces: Iterable[str] | None = None) -> bool:
    """Say whether an IPv4 address is in a network of ours: of these addresses, or (None) of all.

    The loopback is none, unless it is asked for.
    """
    given = None if interfaces is None else frozenset(interfaces)
    with suppress(ValueError):
        wanted = ipaddress.IPv4Address(host)
        for addresses in psutil.net_if_addrs().values():
            for one in addresses:
                if one.family != socket.AF_INET or not one.netmask:
                    continue
                own = ipaddress.IPv4Interface(f"{one.address}/{one.netmask}")
                is_meant = not own.is_loopback if given is None else one.address in given
                if is_meant and wanted in own.network:
                    return True
    return False


def own_addresses() -> Iterator[str]:
    """Yield the IPv4 address of every interface that is up, loopback too."""
    states = psutil.net_if_stats()
    for name, addresses in psutil.net_if_addrs().items():
        if name in states and states[name].isup:
            yield from (a.address for a in addresses if a.family == socket.AF_INET)


def read_announcement(datagram: bytes, sender: str) -> tuple[FoundCamera, ...]:
    """Read ProbeMatches, Hello or Bye; empty for anything else."""
    try:
        root = parse(datagram)
    except CameraBadResponse:
        return ()
    found = []
    for name in ("ProbeMatch", "Hello", "Bye"):
        for entry in everywhere(root, name):
            epr = _epr(entry)
            urls = text(entry, "XAddrs").split()
            if epr and (urls or name == "Bye"):
                scopes = tuple(text(entry, "Scopes").split()[:64])
                url = _reachable(urls, sender) if urls else ""
                found.append(FoundCamera(sender, url, epr, scopes, is_bye=name == "Bye"))
    return tuple(found[:16])


def listening_socket(interfaces: Iterable[str], *, port: int = PORT) -> socket.socket:
    """Return a socket that hears Hello and Bye on these interfaces; it is never written to."""
    heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    heard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    heard.bind((GROUP, port))
    join(heard, interfaces)
    return heard


def join(heard: socket.socket | TransportSocket, interfaces: Iterable[str]) -> None:
    """Hear the group on these interfaces too; where it is heard already nothing changes."""
    for address in interfaces:
        joined = socket.inet_aton(GROUP) + socket.inet_aton(address)
        try:
            heard.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
        except OSError:  # heard already, an interface without multicast, or gone meanwhile
            continue


@dataclass(slots=True, eq=False)
class _Asking:
    """One socket, whom it still asks, and who has answered there."""

    line: socket.socket
    targets: list[tuple[str, int]]
    heard: set[str] = field(default_factory=set)
    had_news: bool = False

    def took(self, camera: FoundCamera) -> None:
        """Note an answer."""
        self.had_news = self.had_news or camera.epr not in self.heard
        self.heard.add(camera.epr)
        self.targets = [target for target in self.targets if target[0] != camera.address]

    def rest(self) -> None:
        """Leave an interface alone where a probe was answered and brought nobody new."""
        if self.heard and not self.had_news:
            self.targets = [target for target in self.targets if target[0] != GROUP]
        self.had_news = False


class _Search:
    """One search over some sockets."""

    def __init__(self, clock: Clock, selector: selectors.BaseSelector) -> None:
        self._clock, self._selector = clock, selector
        self.askings: list[_Asking] = []
        self.found: dict[tuple[str, str], FoundCamera] = {}

    def add(self, line: socket.socket, targets: list[tuple[str, int]]) -> None:
        self.askings.append(_Asking(line, targets))
        self._selector.register(line, selectors.EVENT_READ, self.askings[-1])

    def run(self, wait_s: float, sends: int) -> None:
        end_s = self._clock.monotonic_s() + wait_s
        is_group = any(target[0] == GROUP for each in self.askings for target in each.targets)
        for send in range(sends):
            self._send()
            soon_s = self._clock.monotonic_s() + _BETWEEN_S
            self._hear(max(end_s, soon_s) if send == sends - 1 else min(end_s, soon_s))
            for asking in self.askings:
                asking.rest()
            if not is_group and not any(asking.targets for asking in self.askings):
                return  # all that were asked have answered

    def _send(self) -> None:
        for asking in self.askings:
            for number, target in enumerate(asking.targets, 1):
                with suppress(OSError):  # no route: others may answer
                    asking.line.sendto((_PROBE % uuid.uuid4()).encode(), target)
                if number % _BURST == 0:  # not all at once: a switch of a small network drops them
                    self._hear(self._clock.monotonic_s() + _BURST_PAUSE_S)

    def _hear(self, until_s: float) -> None:
        while (left_s := until_s - self._clock.monotonic_s()) > 0:
            for key, _ in self._selector.select(left_s):
                asking: _Asking = key.data
                with suppress(OSError):  # ICMP: nobody there
                    datagram, sender = asking.line.recvfrom(_MAX_DATAGRAM)
                    self._take(asking, datagram, sender[0])

    def _take(self, asking: _Asking, datagram: bytes, sender: str) -> None:
        for camera in read_announcement(datagram, sender):
            if not camera.is_bye and len(self.found) < _MAX_FOUND:
                asking.took(camera)
                self.found[camera.epr, camera.url] = camera


def _ask_around(
    clock: Clock, targets: dict[str, list[tuple[str, int]]], wait_s: float, sends: int = SENDS
) -> tuple[FoundCamera, ...]:
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        search = _Search(clock, selector)
        for source, asked in targets.items():
            line = _probing_socket(source)
            if line is not None:
                stack.callback(line.close)
                search.add(line, asked)
        search.run(wait_s, sends)
    return tuple(search.found.values())


def _probing_socket(source: str) -> socket.socket | None:
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        line.setblocking(False)
        line.bind((source, 0))
        if source:
            address = socket.inet_aton(source)
            line.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, address)
    except OSError:  # an address just taken away, or an interface without multicast
        line.close()
        return None
    return line


def _epr(entry: etree._Element) -> str:
    for reference in everywhere(entry, "EndpointReference"):
        address = next((e for e in reference.iter() if local(e) == "Address"), None)
        if address is not None:
            return text(address).lower()[:128]
    return ""


def _reachable(urls: list[str], sender: str) -> str:
    """Return the address with the sender's own host; the first one, mended, when none has it."""
    usable = [url for url in urls if _split(url).scheme in ("http", "https")]
    for url in usable:
        if _split(url).hostname == sender:
            return url
    if not usable:
        return ""
    first, port = urlsplit(usable[0]), _port_of(usable[0])
    host = f"{sender}:{port}" if port else sender
    return repair_service_url(usable[0], f"{first.scheme}://{host}/")


def _split(url: str) -> SplitResult:
    """Return the parts of an address; empty ones when it is none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _port_of(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        return None
