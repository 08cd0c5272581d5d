"""Who is at an address, by what anybody there shows before a login: asked before ours is sent.

Runs in the threads of a camera's lines.
"""

from urllib.parse import urlsplit

from agent.cameras.identity import Identity, epr_of, mac_of
from agent.cameras.port import CameraBadResponse, CameraUnreachable
from agent.cameras.soap import SoapLink
from agent.cameras.soap_answer import fault_of, parse
from agent.cameras.tls import fingerprint_of
from agent.cameras.xml_text import everywhere, text

_LOOK_S = 1.0  # a Stop may wait for this


def open_identity(link: SoapLink) -> Identity:
    """Return what there is of endpoint id, MAC address on our own network, and certificate."""
    url = urlsplit(link.device_url)
    host, fingerprint = url.hostname or "", ""
    if url.scheme == "https":
        try:
            fingerprint = fingerprint_of(host, url.port or 443, timeout_s=_LOOK_S)
        except CameraUnreachable:
            fingerprint = ""
    mac = mac_of(host)
    return Identity(epr=_epr(link), macs=(mac,) if mac else (), fingerprint=fingerprint)


def _epr(link: SoapLink) -> str:
    try:
        answer = link.ask_openly("GetEndpointReference", timeout_s=_LOOK_S)
        if answer.status_code != 200 or fault_of(answer) is not None:
            return ""
        return next((epr_of(text(e)) for e in everywhere(parse(answer.content), "GUID")), "")
    except (CameraUnreachable, CameraBadResponse):
        return ""
