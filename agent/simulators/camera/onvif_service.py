"""What the services of a simulated camera have in common: the camera they belong to, refusals."""

import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Protocol

from lxml import etree

from agent.core.clock import Clock
from agent.simulators.camera.onvif_http import HttpRequest
from agent.simulators.camera.onvif_settings import OnvifDeviceConfig, OnvifFaults

Handler = Callable[[Any, HttpRequest], Awaitable[str]]
Operations = dict[tuple[str, str], Handler]
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?")


class Camera(Protocol):
    """The camera as its services see it."""

    config: OnvifDeviceConfig
    faults: OnvifFaults
    clock: Clock

    def now(self) -> datetime:
        """The camera's own time."""
        ...

    def base(self) -> str:
        """Scheme, host and port it reports of itself."""
        ...


class SoapRefusal(Exception):  # noqa: N818 - a SOAP fault is the protocol's word for it
    """Becomes a SOAP fault."""

    def __init__(self, subcode: str, reason: str, side: str = "Sender") -> None:
        super().__init__(reason)
        self.subcode, self.reason, self.side = subcode, reason, side


def said(operation: etree._Element, name: str, default: str = "") -> str:
    """Return the text of the first element of that name, whatever its namespace."""
    found = operation.find(f".//{{*}}{name}")
    return default if found is None or found.text is None else str(found.text).strip()


def seconds(text: str) -> float:
    """Read an xs:duration without months, such as "PT1M0.5S"."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise SoapRefusal("InvalidArgVal", f"{text!r} is no duration")
    days, hours, minutes, rest = (float(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest
