"""Finding cameras: our own WS-Discovery probe on every interface, and to given hosts.

Asked up to three times, until somebody answers (WS-Discovery 1.0 allows UDP to be lost). Only
probes are sent and only answers are read: nobody can use the box as a reflector. Blocking; the core
calls it in a thread. Nothing here logs in anywhere.
"""

import ipaddress
import selectors
import socket
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

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
            kind, _, value = urlsplit(scope).path.strip("/").partition("/")
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
    clock: Clock, hosts: Iterable[str], *, wait_s: float = WAIT_S, port: int = PORT
) -> tuple[FoundCamera, ...]:
    """Ask given addresses or subnets ("10.0.0.0/24") one by one, past routers and VLANs."""
    targets = [(host, port) for host in each_host(hosts)]
    return _ask_around(clock, {"": targets}, wait_s)


def each_host(hosts: Iterable[str]) -> Iterator[str]:
    """Yield addresses, subnets opened up. Raises `ValueError` for what is neither, or too many."""
    count = 0
    for given in hosts:
        network = ipaddress.ip_network(given.strip(), strict=False)
        count += network.num_addresses
        if count > _MAX_HOSTS:
            raise ValueError(f"more than {_MAX_HOSTS} addresses")
        yield from (str(host) for host in network.hosts())


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
    for address in interfaces:
        joined = socket.inet_aton(GROUP) + socket.inet_aton(address)
        try:
            heard.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
        except OSError:  # an interface without multicast, or gone meanwhile
            continue
    return heard


def _ask_around(
    clock: Clock, targets: dict[str, list[tuple[str, int]]], wait_s: float
) -> tuple[FoundCamera, ...]:
    found: dict[tuple[str, str], FoundCamera] = {}
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        lines = {}
        for source, asked in targets.items():
            line = _probing_socket(source)
            if line is not None:
                stack.callback(line.close)
                selector.register(line, selectors.EVENT_READ)
                lines[line] = asked
        answered: set[str] = set()
        end_s = clock.monotonic_s() + wait_s
        for send in range(SENDS):
            _send(lines, answered)
            last = send == SENDS - 1
            until_s = end_s if last else min(end_s, clock.monotonic_s() + _BETWEEN_S)
            for datagram, sender in _hear(selector, clock, until_s):
                for camera in read_announcement(datagram, sender):
                    answered.add(sender)
                    if not camera.is_bye and len(found) < _MAX_FOUND:
                        found[camera.epr, camera.url] = camera
            if answered and len(lines) == sum(len(asked) for asked in lines.values()) == 1:
                break  # one was asked and has answered
    return tuple(found.values())


def _send(lines: dict[socket.socket, list[tuple[str, int]]], answered: set[str]) -> None:
    for line, asked in lines.items():
        for host, port in asked:
            if host in answered or (host == GROUP and answered):
                continue
            try:
                line.sendto((_PROBE % uuid.uuid4()).encode(), (host, port))
            except OSError:  # no route: others may answer
                continue


def _hear(
    selector: selectors.BaseSelector, clock: Clock, until_s: float
) -> Iterator[tuple[bytes, str]]:
    while (left_s := until_s - clock.monotonic_s()) > 0:
        for key, _ in selector.select(left_s):
            line: socket.socket = key.fileobj  # type: ignore[assignment]
            try:
                datagram, sender = line.recvfrom(_MAX_DATAGRAM)
            except OSError:  # ICMP: nobody there
                continue
            yield datagram, sender[0]


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
    usable = [url for url in urls if url.lower().startswith(("http://", "https://"))]
    for url in usable:
        if urlsplit(url).hostname == sender:
            return url
    if not usable:
        return ""
    first = urlsplit(usable[0])
    host = f"{sender}:{first.port}" if _port_of(usable[0]) else sender
    return repair_service_url(usable[0], f"{first.scheme}://{host}/")


def _port_of(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        return None
