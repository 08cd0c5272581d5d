"""Everything a camera tells, for a support case: answers as XML, secrets taken out.

One answer a question, with what went wrong in its place. Blocking.
"""

import re

from lxml import etree

from agent.cameras.line import OnvifLine, Service
from agent.core.errors import CameraError

_QUESTIONS = (
    (Service.DEVICE, "tds", "GetDeviceInformation"),
    (Service.DEVICE, "tds", "GetSystemDateAndTime"),
    (Service.DEVICE, "tds", "GetScopes"),
    (Service.DEVICE, "tds", "GetServices"),
    (Service.DEVICE, "tds", "GetCapabilities"),
    (Service.DEVICE, "tds", "GetNetworkInterfaces"),
    (Service.DEVICE, "tds", "GetNTP"),
    (Service.DEVICE, "tds", "GetUsers"),
    (Service.DEVICE, "tds", "GetRelayOutputs"),
    (Service.DEVICE_IO, "tmd", "GetDigitalInputs"),
    (Service.MEDIA2, "tr2", "GetProfiles"),
    (Service.MEDIA, "trt", "GetProfiles"),
    (Service.PTZ, "tptz", "GetNodes"),
    (Service.EVENTS, "tev", "GetEventProperties"),
)
_SECRET_NAMES = re.compile(
    r"(<[^<>/]*(?:Password|Passphrase|PSK|Secret|Key|Community)[^<>/]*>)[^<]*", re.IGNORECASE
)
_LOGIN_IN_URL = re.compile(r"(//)[^/@\s<>]*:[^/@\s<>]*@")
_MAX_CHARS = 200_000


def dump(line: OnvifLine, password: str) -> dict[str, str]:
    """Return question to answer; neither `password` nor any other secret is in it."""
    answers = {}
    for service, prefix, name in _QUESTIONS:
        extra = "<tds:IncludeCapability>true</tds:IncludeCapability>"
        inner = extra if name == "GetServices" else ""
        try:
            answer = line.ask(service, f"<{prefix}:{name}>{inner}</{prefix}:{name}>")
        except CameraError as error:
            answers[f"{prefix}:{name}"] = str(error)
            continue
        text = etree.tostring(answer, encoding="unicode")
        answers[f"{prefix}:{name}"] = without_secrets(text, password)[:_MAX_CHARS]
    return answers


def without_secrets(text: str, password: str) -> str:
    """Take out passwords, keys and logins in addresses."""
    text = _LOGIN_IN_URL.sub(r"\1***@", _SECRET_NAMES.sub(r"\1***", text))
    return text.replace(password, "***") if password else text
