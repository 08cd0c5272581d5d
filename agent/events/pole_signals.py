"""A contact of the pole as an incident: the bell an alarm, the cabinet an event."""

from agent.contract.events import (
    Asked,
    CapCertainty,
    CapSeverity,
    CapUrgency,
    EventKind,
    Picture,
)
from agent.events.happening import Happening, stream_of
from agent.messages.pole import ContactState, PoleSignal

KEY = "pole/"
BELL = "bell"

_SEVERITY = {
    BELL: CapSeverity.SEVERE,
    "smoke": CapSeverity.SEVERE,
    "heat": CapSeverity.SEVERE,
    "water": CapSeverity.MODERATE,
    "tilt": CapSeverity.MODERATE,
    "mains-lost": CapSeverity.MODERATE,
    "surge-arrester": CapSeverity.MODERATE,
}


def asks_of_bell(camera_id: str) -> tuple[Asked, ...]:
    """Return what whoever pressed a bell waits for: to be seen, where a camera is, and a voice."""
    return (Asked.LIVE, Asked.TALK) if camera_id else (Asked.TALK,)


def happening(signal: PoleSignal, picture: Picture | None = None) -> Happening:
    """Return what a contact's signal means; an active one begins, any other one ends."""
    is_bell = signal.meaning == BELL
    kind = EventKind.EMERGENCY_BELL if is_bell else EventKind.CABINET
    is_over = signal.state is not ContactState.ACTIVE
    return Happening(
        key=f"{KEY}{signal.input_id}",
        subject=signal.camera_id or signal.input_id,
        kind=kind,
        at=signal.at,
        mono_s=signal.mono_s,
        tq=signal.tq,
        stream=stream_of(kind),
        hit_id=None if is_over else signal.press_id,
        picture=picture,
        detail=f"{signal.input_id}: {signal.meaning}",
        code="bell.pressed" if is_bell else f"cabinet.{signal.meaning}",
        reason=f"contact-{signal.state.value}" if is_over else None,
        severity=_SEVERITY.get(signal.meaning, CapSeverity.MINOR),
        urgency=CapUrgency.IMMEDIATE if is_bell else CapUrgency.EXPECTED,
        certainty=CapCertainty.OBSERVED,
        asks=asks_of_bell(signal.camera_id) if is_bell else (),
    )
