"""How a simulated camera is found: it answers WS-Discovery probes, and says hello and bye."""

import asyncio
import socket
import uuid
from xml.sax.saxutils import escape

from lxml import etree

GROUP = "239.255.255.250"
_NS = "http://schemas.xmlsoap.org/ws/2005/04/discovery"
_ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
_ENVELOPE = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    f'xmlns:a="{_ADDRESSING}" xmlns:d="{_NS}" '
    'xmlns:dn="http://www.onvif.org/ver10/network/wsdl"><s:Header>'
    "<a:MessageID>urn:uuid:%s</a:MessageID>%s<a:Action>%s</a:Action></s:Header>"
    "<s:Body>%s</s:Body></s:Envelope>"
)


class DiscoveryResponder(asyncio.DatagramProtocol):
    """One camera's voice on the multicast group; `open` it, and `close` it at the end."""

    def __init__(self, host: str, port: int, scopes: tuple[str, ...]) -> None:
        self._host, self._port, self._scopes = host, port, scopes
        self._transport: asyncio.DatagramTransport | None = None
        self._voice: socket.socket | None = None
        self.epr, self.url = "", ""

    async def open(self, host: str = "") -> None:
        """Join the group on the interface of our address, and speak from it."""
        self._host = host or self._host
        self._voice = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._voice.setblocking(False)
        self._voice.bind((self._host, 0))
        heard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        heard.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        heard.bind(("", self._port))
        address = socket.inet_aton(self._host)
        joined = socket.inet_aton(GROUP) + address
        heard.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
        self._voice.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, address)
        heard.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=heard)
        except BaseException:  # cancelled, too
            heard.close()
            raise

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        if self._voice is not None:
            self._voice.close()
            self._voice = None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if b"Probe>" not in data or not self.url:
            return
        try:
            probe = etree.fromstring(data, etree.XMLParser(resolve_entities=False))
        except etree.LxmlError:
            return
        asked = probe.findtext(f".//{{{_ADDRESSING}}}MessageID", "")
        relates = f"<a:RelatesTo>{escape(asked)}</a:RelatesTo>"
        body = f"<d:ProbeMatches><d:ProbeMatch>{self._self()}</d:ProbeMatch></d:ProbeMatches>"
        self._say(_message("ProbeMatches", body, relates), addr)

    def hello(self) -> None:
        """Tell the neighbourhood that we are there."""
        self._announce("Hello")

    def bye(self) -> None:
        """Tell the neighbourhood that we go."""
        self._announce("Bye")

    def _announce(self, name: str) -> None:
        if self.url:
            message = _message(name, f"<d:{name}>{self._self()}</d:{name}>", "")
            self._say(message, (GROUP, self._port))

    def _say(self, message: bytes, to: tuple[str, int]) -> None:
        if self._voice is not None:
            self._voice.sendto(message, to)

    def _self(self) -> str:
        return (
            f"<a:EndpointReference><a:Address>{escape(self.epr)}</a:Address>"
            "</a:EndpointReference><d:Types>dn:NetworkVideoTransmitter</d:Types>"
            f"<d:Scopes>{escape(' '.join(self._scopes))}</d:Scopes>"
            f"<d:XAddrs>{escape(self.url)}</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion>"
        )


def _message(name: str, body: str, relates: str) -> bytes:
    return (_ENVELOPE % (uuid.uuid4(), relates, f"{_NS}/{name}", body)).encode()
