"""The sender's echo: what a record is in ONVIF's JSON shape, if it is a camera's event."""

from dataclasses import dataclass

import msgspec

from agent.contract.events import Event
from agent.contract.onvif_ej import onvif_message, onvif_topic
from agent.contract.topics import BoxAddress
from agent.uplink.link import Outgoing

_event = msgspec.json.Decoder(Event)


@dataclass(frozen=True, slots=True)
class OnvifEcho:
    """Call it with a record's bytes."""

    address: BoxAddress

    def __call__(self, body: bytes) -> Outgoing | None:
        try:
            event = _event.decode(body)
        except msgspec.MsgspecError:  # a gap, an audit entry, a roll-up
            return None
        message = onvif_message(event)
        if message is None:
            return None
        topic = onvif_topic(self.address, event.data.kind)
        return Outgoing(topic, msgspec.json.encode(message))
