"""Here I am: the box's retained state, its last will, and the birth document."""

import secrets
from collections.abc import Callable, Sequence

import msgspec

from agent import __version__
from agent.contract.info import Info
from agent.contract.presence import State
from agent.contract.topics import BoxAddress, Channel
from agent.core.clock import Clock
from agent.uplink.link import Outgoing


class Presence:
    """The link's greeter. `info` is asked at each connection. `state` is the present connection."""

    def __init__(
        self, clock: Clock, address: BoxAddress, boot: int, info: Callable[[], Info]
    ) -> None:
        self._clock, self._address, self._info = clock, address, info
        self.state = State(online=False, boot=boot, conn=0)

    def will(self) -> Outgoing:
        self.state = State(
            online=True,
            boot=self.state.boot,
            conn=int(self._clock.monotonic_s() * 1000),
            ver=__version__,
            t=self._clock.utc_now(),
            nonce=secrets.token_hex(8),
        )
        return self.farewell()

    def greetings(self) -> Sequence[Outgoing]:
        return (self._retained(Channel.STATE, self.state), self.birth())

    def farewell(self) -> Outgoing:
        return self._retained(
            Channel.STATE, State(online=False, boot=self.state.boot, conn=self.state.conn)
        )

    def birth(self) -> Outgoing:
        """Return the birth document; publish it again when what it says changes."""
        return self._retained(Channel.INFO, self._info())

    def _retained(self, channel: Channel, content: State | Info) -> Outgoing:
        return Outgoing(self._address.topic(channel), msgspec.json.encode(content), retain=True)
