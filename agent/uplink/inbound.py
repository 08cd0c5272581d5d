"""What the center says to the box, given to whom it concerns. What is not understood is logged."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from agent.contract.acks import Acks
from agent.contract.presence import CenterState
from agent.contract.topics import MAX_BYTES, MAX_INCIDENT_BYTES, BoxAddress, Channel, parse
from agent.core import log
from agent.core.errors import PolesideError
from agent.uplink.link import Incoming

_acks = msgspec.json.Decoder(Acks)
_center = msgspec.json.Decoder(CenterState)
_log = log.get("uplink.inbound")


async def _nothing(_: bytes) -> None:
    return None


@dataclass(slots=True)
class Inbound:
    """The link's `received`. A handler returns once it may be PUBACKed: handled, or on the disk.

    `on_call`: the center has just come, and wants to know who is there.
    """

    address: BoxAddress
    on_acks: Callable[[Acks], Awaitable[None]]
    on_center: Callable[[bool], None]
    on_command: Callable[[bytes], Awaitable[None]] = _nothing
    on_config: Callable[[bytes], Awaitable[None]] = _nothing
    on_call: Callable[[], None] = lambda: None
    on_storm: Callable[[datetime | None], None] = lambda _: None
    on_back: Callable[[float | None], None] = lambda _: None
    on_incident: Callable[[bytes], Awaitable[None]] = _nothing

    @property
    def subscriptions(self) -> tuple[tuple[str, int], ...]:
        """What the link must subscribe to: its own at QoS 1; what is said again anyway at 0."""
        here = self.address
        return ((here.down_filter, 1), (here.center_state, 0), (here.district, 0))

    async def received(self, message: Incoming) -> None:
        try:
            await self._dispatch(message)
        except msgspec.MsgspecError as error:
            _log.warning("message not understood", topic=message.topic, reason=str(error))
        except PolesideError as error:  # a full disk, say; acks and orders are sent again
            _log.warning("message not handled", topic=message.topic, reason=str(error))
        except Exception as error:  # noqa: BLE001  whoever has the broker must not end the link by it
            _log.error("message broke its handler", topic=message.topic, exc_info=error)

    async def _dispatch(self, message: Incoming) -> None:
        if message.topic == self.address.center_state:
            self._center_said(_center.decode(message.payload), is_new=not message.retained)
            return
        if message.topic == self.address.district:
            if len(message.payload) <= MAX_INCIDENT_BYTES and not message.retained:
                await self.on_incident(message.payload)
            return
        address, channel = parse(message.topic) or (None, None)
        if address != self.address or channel is None:
            _log.warning("message not for this box", topic=message.topic)
        elif len(message.payload) > MAX_BYTES[channel]:
            _log.warning("message too large", topic=message.topic, size_bytes=len(message.payload))
        elif channel is Channel.ACK:
            await self.on_acks(_acks.decode(message.payload))
        elif channel is Channel.CONFIG:
            await self.on_config(message.payload)
        elif channel is Channel.COMMAND and not message.retained:
            # A retained command would be obeyed again at every connection.
            await self.on_command(message.payload)

    def _center_said(self, state: CenterState, *, is_new: bool) -> None:
        self.on_center(state.online)
        self.on_storm(state.storm_until)
        if state.online or state.back_after_s is not None:  # its will takes nothing back
            self.on_back(state.back_after_s)
        if state.online and is_new:
            self.on_call()
