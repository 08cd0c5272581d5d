"""A camera's event told a second time in ONVIF's own JSON shape, for centers that speak it.

ONVIF Core 23.12, "MQTT transport": `<prefix>/onvif-ej/<topic without tns1:>`, the prefix being the
box's `up`. Off by default, not acknowledged, not repeated: the stream beside it is the truth.
"""

from msgspec import Struct

from agent.contract.events import Event, EventKind, Phase, UtcTime
from agent.contract.topics import ROOT, BoxAddress

LEVEL = "up/onvif-ej"
# Kinds that ONVIF's analytics and device specifications name; the rest keeps our own name.
_TOPICS = {
    EventKind.INTRUSION: "RuleEngine/FieldDetector/ObjectsInside",
    EventKind.LINE_CROSSING: "RuleEngine/LineDetector/Crossed",
    EventKind.LOITERING: "RuleEngine/LoiteringDetector/ObjectIsLoitering",
    EventKind.TAMPER: "VideoSource/GlobalSceneChange/AnalyticsService",
    EventKind.CAMERA_LOST: "VideoSource/SignalLoss",
    EventKind.CAMERA_BACK: "VideoSource/SignalLoss",
}
_NOT_OF_A_CAMERA = {EventKind.BOX_FAULT, EventKind.NOT_RECORDED}


class OnvifMessage(Struct, frozen=True, kw_only=True, rename="pascal"):
    """One notification. `Source` names the camera and its rule; `Data.State` whether it holds."""

    utc_time: UtcTime
    source: dict[str, str]
    data: dict[str, str | bool]


def onvif_topic(address: BoxAddress, kind: EventKind) -> str:
    """Return where events of `kind` are told."""
    local = _TOPICS.get(kind, f"poleside:Event/{kind.value}")
    return f"{ROOT}/{address.site}/{address.box}/{LEVEL}/{local}"


def onvif_message(event: Event) -> OnvifMessage | None:
    """Return an event as ONVIF tells it; None when it changes no state, or comes from no camera."""
    kind, data = event.data.kind, event.data
    if kind in _NOT_OF_A_CAMERA or event.phase is Phase.UPDATE or event.historical:
        return None
    source = {"VideoSourceToken": event.subject}
    if data.rule_id is not None:
        source["Rule"] = data.rule_id
    holds = event.phase is Phase.NEW and kind is not EventKind.CAMERA_BACK
    told: dict[str, str | bool] = {"State": holds, "EventId": event.id}
    if kind is EventKind.INTRUSION:
        told["IsInside"] = holds
    if data.objects:
        told["ObjectClass"] = data.objects[0].label
        if data.objects[0].track_id is not None:
            told["ObjectId"] = str(data.objects[0].track_id)
    return OnvifMessage(
        utc_time=data.ended_at or event.time if event.phase is Phase.END else event.time,
        source=source,
        data=told,
    )
