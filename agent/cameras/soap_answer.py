"""What a camera's HTTP answer means: a SOAP envelope, a fault, a refused login, or nonsense.

The only place where camera answers are judged; `agent.cameras.soap` raises what is found here.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from lxml import etree

from agent.cameras.bounded_http import Answer
from agent.cameras.port import (
    CameraBadResponse,
    CameraFailure,
    CameraLockedOut,
    CameraNotOnvif,
    CameraNotSupported,
)
from agent.cameras.xml_text import child, local

_LOGIN_CODES = {"NotAuthorized", "FailedAuthentication", "InvalidSecurityToken"}
_EXPIRED_CODES = {"MessageExpired"}
_UNABLE_CODES = {
    "ActionNotSupported",
    "OptionalActionNotImplemented",
    "NotSupported",
    "NoPTZProfile",
    "PTZNotSupported",
}
_FORBIDDEN_CODES = {"OperationProhibited"}
_TELLS = {"SetPreset", "SetHostnameFromDHCP"}  # orders whose answer has something to tell
_LOCK_STATUS = {423, 429}
_LOCK_WORDS = ("locked", "lockout", "lock out", "too many")
_USUAL_PREFIXES = {
    b"tt": b"http://www.onvif.org/ver10/schema",
    b"tds": b"http://www.onvif.org/ver10/device/wsdl",
    b"trt": b"http://www.onvif.org/ver10/media/wsdl",
    b"tptz": b"http://www.onvif.org/ver20/ptz/wsdl",
    b"ptz": b"http://www.onvif.org/ver20/ptz/wsdl",
    b"tev": b"http://www.onvif.org/ver10/events/wsdl",
    b"tr2": b"http://www.onvif.org/ver20/media/wsdl",
    b"tmd": b"http://www.onvif.org/ver10/deviceIO/wsdl",
    b"wsnt": b"http://docs.oasis-open.org/wsn/b-2",
}
MAX_TAGS = 200_000
_YEARS = range(1970, 9999)  # what else a clock says can't be counted on from
_RIGHTS_HINT = "Give this user operator rights in the camera, or use another user."


@dataclass(frozen=True, slots=True)
class SoapFault:
    """A SOAP 1.2 fault: its codes without prefixes, outermost first, and its words."""

    codes: tuple[str, ...]
    reason: str


def parse(content: bytes) -> etree._Element:
    """Read XML from a camera without entities, DTDs or network. Mends what it can."""
    if b"<!DOCTYPE" in content:
        raise CameraBadResponse("the answer carries a DTD, which no camera has reason to send")
    if content.count(b"<") > MAX_TAGS:  # a small tag becomes thirty times its size in memory
        raise CameraBadResponse("the answer has more elements than any camera needs")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=True
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.LxmlError, ValueError) as error:
        raise CameraBadResponse("the answer is no XML") from error
    if root is None:
        raise CameraBadResponse("the answer is no XML")
    return root


def answered(content: bytes, operation: str) -> etree._Element:
    """Return the one element of an envelope's body; raises unless it answers `operation`.

    Some cameras answer what has nothing to tell with an empty body: it is done all the same.
    """
    found = child(parse(content), "Body")
    first = None if found is None else next((e for e in found if isinstance(e.tag, str)), None)
    if first is None:
        if found is not None and _is_whole_and_empty(found, content) and tells_nothing(operation):
            return etree.Element(f"{operation}Response")
        raise CameraBadResponse("the answer has no body")
    if local(first) != f"{operation}Response":
        raise CameraBadResponse("the answer is not to what was asked")
    return first


def tells_nothing(operation: str) -> bool:
    """Say whether the answer to an operation has no content: it says only that it was done."""
    is_order = operation.startswith(("Set", "Goto", "Stop")) or operation.endswith("Move")
    return is_order and operation not in _TELLS


def _is_whole_and_empty(body: etree._Element, content: bytes) -> bool:
    return not (body.text or "").strip() and content.rstrip().endswith(b"Envelope>")


def with_declared_prefixes(content: bytes) -> bytes:
    """Declare the usual prefixes where a camera (such as ipycam 1.3) uses them undeclared."""
    missing = [
        b' xmlns:%s="%s"' % (prefix, namespace)
        for prefix, namespace in _USUAL_PREFIXES.items()
        if b"<%s:" % prefix in content and b"xmlns:%s=" % prefix not in content
    ]
    start = content.find(b"Envelope")
    if not missing or start < 0:
        return content
    end = start + len(b"Envelope")
    return content[:end] + b"".join(missing) + content[end:]


def fault_of(answer: Answer) -> SoapFault | None:
    """Return the fault in an answer of whatever HTTP status: some cameras fault with 200."""
    if b"Fault" not in answer.content or b"Envelope" not in answer.content:
        return None
    root = parse(answer.content)
    if not root.xpath("*[local-name()='Body']/*[local-name()='Fault']"):
        return None
    values = root.xpath("//*[local-name()='Value' or local-name()='faultcode']/text()")
    reasons = root.xpath("//*[local-name()='Text' or local-name()='faultstring']/text()")
    codes = tuple(str(value).strip().rpartition(":")[2] for value in values)
    return SoapFault(codes, " ".join(str(reason).strip() for reason in reasons)[:200])


def refuses_login(answer: Answer) -> bool:
    """Say whether the camera wants a login, or another one (ONVIF Core, "Authentication")."""
    if answer.status_code == 401 or answer.status_code in _LOCK_STATUS:
        return True
    fault = fault_of(answer)
    return fault is not None and bool({*fault.codes} & (_LOGIN_CODES | _EXPIRED_CODES))


def blames_time(answer: Answer) -> bool:
    """Say whether a refused login is about its time stamp."""
    fault = fault_of(answer)
    return fault is not None and bool({*fault.codes} & _EXPIRED_CODES)


def lock_out(answer: Answer) -> CameraLockedOut | None:
    """Return the error when the camera says that it takes no logins at all just now."""
    fault = fault_of(answer)
    words = fault.reason.lower() if fault else ""
    if answer.status_code in _LOCK_STATUS or any(word in words for word in _LOCK_WORDS):
        return CameraLockedOut("the camera refuses all logins for a while")
    return None


def problem_of(answer: Answer, *, has_spoken_soap: bool) -> CameraFailure | None:
    """Return what is wrong with an answer, or None for a good SOAP answer."""
    fault = fault_of(answer)
    if fault is not None:
        return _fault_problem(fault)
    if answer.status_code == 403:
        return CameraNotSupported("the camera forbids this user to do that", hint=_RIGHTS_HINT)
    if b"Envelope" in answer.content:
        return None if answer.status_code == 200 else _odd_status(answer)
    if not answer.content and answer.status_code == 200:
        return CameraBadResponse("the answer is empty")
    if not has_spoken_soap:
        return CameraNotOnvif(f"HTTP {answer.status_code} without a SOAP answer")
    return _odd_status(answer)


def camera_time(answer: Answer) -> datetime | None:
    """Return UTC by GetSystemDateAndTime's answer, else by the HTTP `Date`, else None."""
    return _soap_time(answer) or http_time(answer)


def http_time(answer: Answer) -> datetime | None:
    """Return UTC by the HTTP `Date` header of any answer."""
    try:
        at = parsedate_to_datetime(answer.headers.get("Date", ""))
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
    return at if at.year in _YEARS else None


def _soap_time(answer: Answer) -> datetime | None:
    if answer.status_code != 200 or b"UTCDateTime" not in answer.content:
        return None
    root = parse(answer.content)
    try:
        numbers = [
            int(root.xpath(f"string(//*[local-name()='UTCDateTime']//*[local-name()='{name}'])"))
            for name in ("Year", "Month", "Day", "Hour", "Minute", "Second")
        ]
        at = datetime(*numbers, tzinfo=UTC)  # type: ignore[arg-type, misc]
    except (ValueError, OverflowError):
        return None
    return at if at.year in _YEARS else None


def _fault_problem(fault: SoapFault) -> CameraFailure:
    text = f"the camera says: {fault.reason or ', '.join(fault.codes) or 'fault'}"
    if {*fault.codes} & _UNABLE_CODES:
        return CameraNotSupported(text)
    if {*fault.codes} & _FORBIDDEN_CODES:
        return CameraNotSupported(text, hint=_RIGHTS_HINT)
    return CameraBadResponse(text)


def _odd_status(answer: Answer) -> CameraBadResponse:
    return CameraBadResponse(f"HTTP {answer.status_code} without a usable SOAP answer")
