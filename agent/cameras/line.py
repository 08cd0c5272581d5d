"""The line to one camera's services: where each is, and one question with its answer as XML.

For everything that is not worth zeep (`agent.cameras.zeep_backend`): Media 2, events, inputs and
outputs, care. The same login, deadline and caps hold for all. Runs in threads of the core process.
"""

import threading
import uuid
from dataclasses import dataclass
from enum import StrEnum

from lxml import etree

from agent.cameras.address import repair_service_url
from agent.cameras.bounded_http import within_s
from agent.cameras.credentials import SOAP_NS
from agent.cameras.door import Door
from agent.cameras.port import CameraBadResponse, CameraNotSupported, Login
from agent.cameras.soap import CALL_S, SoapLink
from agent.cameras.soap_answer import answered, with_declared_prefixes
from agent.cameras.tls import CameraTls
from agent.cameras.xml_text import children, everywhere, filled, text
from agent.core.clock import Clock

OPERATION_S = 15.0
_ADDRESSING_NS = "http://www.w3.org/2005/08/addressing"


class Service(StrEnum):
    """The namespaces of the services we use."""

    DEVICE = "http://www.onvif.org/ver10/device/wsdl"
    MEDIA = "http://www.onvif.org/ver10/media/wsdl"
    MEDIA2 = "http://www.onvif.org/ver20/media/wsdl"
    PTZ = "http://www.onvif.org/ver20/ptz/wsdl"
    IMAGING = "http://www.onvif.org/ver20/imaging/wsdl"
    EVENTS = "http://www.onvif.org/ver10/events/wsdl"
    DEVICE_IO = "http://www.onvif.org/ver10/deviceIO/wsdl"


_CAPABILITY_OF = {
    "Media": Service.MEDIA,
    "PTZ": Service.PTZ,
    "Imaging": Service.IMAGING,
    "Events": Service.EVENTS,
    "DeviceIO": Service.DEVICE_IO,
}
_ENVELOPE = (
    f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{SOAP_NS}" '
    f'xmlns:tds="{Service.DEVICE}" xmlns:trt="{Service.MEDIA}" xmlns:tr2="{Service.MEDIA2}" '
    f'xmlns:tev="{Service.EVENTS}" xmlns:tmd="{Service.DEVICE_IO}" xmlns:tptz="{Service.PTZ}" '
    'xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2" '
    'xmlns:tns1="http://www.onvif.org/ver10/topics" '
    f'xmlns:wsa="{_ADDRESSING_NS}"><s:Header>%s</s:Header><s:Body>%s</s:Body></s:Envelope>'
)


@dataclass(frozen=True, slots=True)
class Addressing:
    """WS-Addressing for the events service only: some cameras refuse other calls that carry it.

    `reference` is XML the camera gave as reference parameters of a subscription.
    """

    action: str
    reference: str = ""


class OnvifLine:
    """One camera's services. Safe for two threads at once."""

    def __init__(
        self,
        device_url: str,
        login: Login | Door,
        clock: Clock,
        *,
        call_s: float = CALL_S,
        operation_s: float = OPERATION_S,
        tls: CameraTls | None = None,
    ) -> None:
        self.tls = tls
        self.link = SoapLink(device_url, login, clock, call_s=call_s, tls=tls)
        self._clock, self.operation_s = clock, operation_s
        self._connecting = threading.Lock()
        self._urls: dict[str, str] | None = None

    def ask(
        self,
        service: Service,
        body: str,
        *,
        url: str = "",
        timeout_s: float | None = None,
        addressing: Addressing | None = None,
    ) -> etree._Element:
        """Send a body (XML with the usual prefixes) and return the answer's first element."""
        target = url or self.url(service)
        header = "" if addressing is None else _header(addressing, target)
        envelope = (_ENVELOPE % (header, body)).encode()
        with within_s(self._clock, max(self.operation_s, timeout_s or 0.0)):
            answer = self.link.call(target, envelope, timeout_s=timeout_s)
        name = body.partition(">")[0].partition(" ")[0].rpartition(":")[2].rstrip("/")
        return answered(with_declared_prefixes(answer.content), name)

    def url(self, service: Service) -> str:
        """Return where a service is; raises `CameraNotSupported` when the camera has none."""
        if service is Service.DEVICE:
            return self.link.device_url
        found = self.services().get(service)
        if found is None:
            name = service.name.lower().replace("_", " ")
            raise CameraNotSupported(f"the camera offers no {name} service")
        return found

    def has(self, service: Service) -> bool:
        """Say whether the camera lists a service."""
        return service is Service.DEVICE or service in self.services()

    def services(self) -> dict[str, str]:
        """Return namespace to reachable address, asked once."""
        with self._connecting:
            if self._urls is None:
                self._urls = self._find_services()
            return self._urls

    def forget_services(self) -> None:
        """Ask anew at the next use: the camera may have changed."""
        self._urls = None

    def close(self) -> None:
        self.link.close()

    def _find_services(self) -> dict[str, str]:
        """Ask for the services both ways and unite them: some list PTZ in one answer only."""
        urls: dict[str, str] = {}
        problem = None
        for question, read in ((_SERVICES, _service_urls), (_CAPABILITIES, _capability_urls)):
            try:
                found = read(self.ask(Service.DEVICE, question))
            except (CameraNotSupported, CameraBadResponse) as error:
                problem = problem or error
            else:
                urls |= {name: url for name, url in found.items() if name not in urls}
        if not urls and problem is not None:
            raise problem
        reached = self.link.device_url
        return {name: repair_service_url(url, reached) for name, url in urls.items()}


_SERVICES = (
    "<tds:GetServices><tds:IncludeCapability>false</tds:IncludeCapability></tds:GetServices>"
)
_CAPABILITIES = "<tds:GetCapabilities><tds:Category>All</tds:Category></tds:GetCapabilities>"


def _service_urls(answer: etree._Element) -> dict[str, str]:
    pairs = ((text(s, "Namespace"), text(s, "XAddr")) for s in children(answer, "Service"))
    return {namespace: url for namespace, url in pairs if namespace and url}


def _capability_urls(answer: etree._Element) -> dict[str, str]:
    found = {}
    for name, service in _CAPABILITY_OF.items():
        for part in everywhere(answer, name):
            if url := text(part, "XAddr"):
                found[str(service)] = url
    return found


def _header(addressing: Addressing, to: str) -> str:
    return (
        filled(
            "<wsa:Action>{action}</wsa:Action><wsa:MessageID>urn:uuid:{id}</wsa:MessageID>"
            "<wsa:To>{to}</wsa:To>",
            action=addressing.action,
            id=uuid.uuid4(),
            to=to,
        )
        + addressing.reference
    )
