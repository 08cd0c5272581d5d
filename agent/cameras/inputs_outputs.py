"""A camera's relay outputs and digital inputs, through DeviceIO or, where it must be, Device.

What a relay may do is decided by `agent.cameras.relay_guard`. Threads of the core process.
"""

from dataclasses import dataclass

from lxml import etree

from agent.cameras.line import OnvifLine, Service
from agent.cameras.port import CameraBadResponse, CameraNotSupported
from agent.cameras.xml_text import attribute, children, filled, text

_RELAY_SERVICES = (Service.DEVICE_IO, Service.DEVICE)  # deviceio.wsdl takes Device's elements
_SET_RELAY = (
    "<tds:SetRelayOutputState><tds:RelayOutputToken>{token}</tds:RelayOutputToken>"
    "<tds:LogicalState>{state}</tds:LogicalState></tds:SetRelayOutputState>"
)


@dataclass(frozen=True, slots=True)
class Relay:
    """An output. `mode` is Monostable (goes back by itself after `delay_s`) or Bistable."""

    token: str
    mode: str
    delay_s: float
    idle: str  # "open" or "closed"


@dataclass(frozen=True, slots=True)
class DigitalInput:
    """An input. `idle` is "open" or "closed"; empty when the camera does not say."""

    token: str
    idle: str


def relays(line: OnvifLine) -> tuple[Relay, ...]:
    """List the outputs; empty when the camera has none."""
    for service in _RELAY_SERVICES:
        answer = _listed(line, service, "<tds:GetRelayOutputs/>")
        found = [] if answer is None else [_relay(e) for e in children(answer, "RelayOutputs")]
        if found:
            return tuple(relay for relay in found if relay.token)
    return ()


def digital_inputs(line: OnvifLine) -> tuple[DigitalInput, ...]:
    """List the inputs; empty when the camera has none."""
    answer = _listed(line, Service.DEVICE_IO, "<tmd:GetDigitalInputs/>")
    found = [] if answer is None else list(children(answer, "DigitalInputs"))
    return tuple(
        DigitalInput(attribute(e, "token"), attribute(e, "IdleState").lower())
        for e in found
        if attribute(e, "token")
    )


def set_relay(line: OnvifLine, token: str, *, active: bool) -> None:
    """Switch an output. Monostable ones fall back by themselves."""
    state = "active" if active else "inactive"
    problem: CameraNotSupported | CameraBadResponse | None = None
    for service in _RELAY_SERVICES:
        if not line.has(service):
            continue
        try:
            line.ask(service, filled(_SET_RELAY, token=token, state=state))
        except (CameraNotSupported, CameraBadResponse) as error:
            problem = error
        else:
            return
    raise problem or CameraNotSupported("the camera has no relay output")


def _listed(line: OnvifLine, service: Service, question: str) -> etree._Element | None:
    if not line.has(service):
        return None
    try:
        return line.ask(service, question)
    except (CameraNotSupported, CameraBadResponse):
        return None


def _relay(found: etree._Element) -> Relay:
    delay = text(found, "Properties/DelayTime").upper()
    return Relay(
        token=attribute(found, "token"),
        mode=text(found, "Properties/Mode"),
        delay_s=_seconds(delay),
        idle=text(found, "Properties/IdleState").lower(),
    )


def _seconds(duration: str) -> float:
    """Read "PT1M0.5S"; what is longer than an hour or odd counts as 0."""
    rest, total = duration.removeprefix("PT"), 0.0
    for unit, factor in (("M", 60.0), ("S", 1.0)):
        given, mark, tail = rest.partition(unit)
        if mark:
            try:
                total += float(given) * factor
            except ValueError:
                return 0.0
            rest = tail
    return total
