"""What anybody at a camera's address shows before a login: asked before ours is sent.

Runs in the threads of a camera's lines.
"""

from urllib.parse import urlsplit

from agent.cameras.bounded_http import Answer
from agent.cameras.credentials import realm_of
from agent.cameras.identity import epr_of
from agent.cameras.port import CameraBadResponse, CameraFailure, CameraUnreachable
from agent.cameras.soap import SoapLink
from agent.cameras.soap_answer import fault_of, parse
from agent.cameras.tls import fingerprint_of
from agent.cameras.xml_text import everywhere, text
from agent.core.shown import Shown, mac_of

_OPENLY = "GetEndpointReference", "GetDeviceInformation"  # the second is refused, with a realm


def open_look(link: SoapLink, timeout_s: float) -> Shown:
    """Return what there is of endpoint id, MAC address on our own network, certificate and realm.

    A certificate that an authority vouches for was checked on the way, and may be renewed: no key.
    Each question may take `timeout_s`. Raises `CameraUnreachable` when none is answered.
    """
    url = urlsplit(link.device_url)
    host = url.hostname or ""
    named, refused = (_asked(link, name, timeout_s) for name in _OPENLY)
    if isinstance(named, CameraUnreachable) and isinstance(refused, CameraUnreachable):
        raise refused
    fingerprint = ""
    if url.scheme == "https" and not link.tls.is_vouched:
        fingerprint = fingerprint_of(host, url.port or 443, timeout_s=timeout_s)
    return Shown(
        epr=_epr(named),
        mac=mac_of(host),
        fingerprint=fingerprint,
        realm=realm_of(refused.challenges) if isinstance(refused, Answer) else "",
    )


def _asked(link: SoapLink, name: str, timeout_s: float) -> Answer | CameraFailure:
    try:
        return link.ask_openly(name, timeout_s=timeout_s)
    except (CameraUnreachable, CameraBadResponse) as error:
        return error


def _epr(answer: Answer | CameraFailure) -> str:
    if not isinstance(answer, Answer) or answer.status_code != 200:
        return ""
    try:
        if fault_of(answer) is not None:
            return ""
        return next((epr_of(text(e)) for e in everywhere(parse(answer.content), "GUID")), "")
    except CameraBadResponse:
        return ""
