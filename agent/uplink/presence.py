"""Here I am: the box's retained state, its last will, the birth document, the settings' report."""

import asyncio
import random
import secrets
from collections.abc import Callable, Sequence
from math import inf

import msgspec

from agent import __version__
from agent.contract.config import ConfigReport
from agent.contract.info import Info
from agent.contract.presence import State
from agent.contract.topics import BoxAddress, Channel
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.core.errors import LinkError
from agent.uplink.link import Link, Outgoing

_LOOK_S = 5.0
_SPREAD_S = 10.0  # thousands answer one call: not all at once


class Presence:
    """The link's greeter. `state` is of the present connection.

    `info` and `config` are asked at each connection. `beat_s`: telemetry comes so often. When
    `facts` are others than at the last birth document, it is out of date.
    """

    def __init__(
        self,
        clock: Clock,
        address: BoxAddress,
        boot: int,
        info: Callable[[], Info],
        *,
        config: Callable[[], ConfigReport] | None = None,
        beat_s: float | None = None,
        facts: Callable[[], object] = lambda: None,
    ) -> None:
        self._clock, self._address, self._info, self._config = clock, address, info, config
        self._facts = facts
        self._born_of: object = None
        self.state = State(online=False, boot=boot, conn=0, beat_s=beat_s)

    def beats(self, beat_s: float) -> None:
        """Promise from now on to be heard at least so often; the center must be told."""
        self.state = msgspec.structs.replace(self.state, beat_s=beat_s)

    def will(self) -> Outgoing:
        self.state = State(
            online=True,
            boot=self.state.boot,
            conn=int(self._clock.monotonic_s() * 1000),
            ver=__version__,
            t=self._clock.utc_now(),
            nonce=secrets.token_hex(8),
            beat_s=self.state.beat_s,
        )
        return self._gone(bye=False)

    def greetings(self) -> Sequence[Outgoing]:
        told = (self.present(), self.birth())
        return told if self._config is None else (*told, self.config_report(self._config()))

    def farewell(self) -> Outgoing:
        return self._gone(bye=True)

    def present(self) -> Outgoing:
        """Return the state of this connection, as it is said at its beginning."""
        return self._retained(Channel.STATE, self.state)

    @property
    def birth_is_old(self) -> bool:
        """Whether the birth document would say something else now."""
        return self._facts() != self._born_of

    def birth(self) -> Outgoing:
        """Return the birth document; publish it again when what it says changes."""
        self._born_of = self._facts()
        return self._retained(Channel.INFO, self._info())

    def config_report(self, report: ConfigReport) -> Outgoing:
        """Return what is told of the settings; publish it again when it changes."""
        return self._retained(Channel.CONFIG_REPORT, report)

    def _gone(self, *, bye: bool) -> Outgoing:
        boot, conn = self.state.connection
        return self._retained(Channel.STATE, State(online=False, boot=boot, conn=conn, bye=bye))

    def _retained(self, channel: Channel, content: State | Info | ConfigReport) -> Outgoing:
        return Outgoing(self._address.topic(channel), msgspec.json.encode(content), retain=True)


class PresenceKeeper(Service):
    """Says "here I am" once more: some time after each connection began, and when it is asked.

    It also tells the birth document again when that is out of date: a camera became known.

    A broker may notice late that the connection before has died, and then puts its will over our
    retained state. `settle_s` is when that can't happen any more. And a center that comes back
    asks who is there: a broker that died meanwhile has told nobody's will.
    """

    name = "uplink.presence"

    def __init__(
        self,
        clock: Clock,
        link: Link,
        presence: Presence,
        settle_s: float,
        spread_s: float = _SPREAD_S,
    ) -> None:
        super().__init__(clock)
        self._link, self._presence = link, presence
        self._settle_s, self._spread_s = settle_s, spread_s
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Have it said soon."""
        self._asked.set()

    async def run(self) -> None:
        settled_in = 0
        while True:
            connection = await self._link.connected()
            since_s = self._link.status.since_mono_s
            while self._link.is_up(connection):
                due_s = inf if connection == settled_in else self._settle_s - self._age_s(since_s)
                if await self._is_asked(max(0.0, due_s)):
                    await self._clock.sleep_s(random.uniform(0.0, self._spread_s))  # noqa: S311
                elif self._presence.birth_is_old:
                    await self._publish(self._presence.birth())
                    continue
                elif due_s > 0:
                    continue
                await self._publish(self._presence.present())
                settled_in = connection if due_s <= 0 else settled_in

    def _age_s(self, since_s: float) -> float:
        return self._clock.monotonic_s() - since_s

    async def _is_asked(self, at_most_s: float) -> bool:
        try:
            async with asyncio.timeout(min(to_tick_s(self._clock, _LOOK_S), at_most_s)):
                await self._asked.wait()
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    async def _publish(self, message: Outgoing) -> None:
        try:
            await self._link.publish(message)
        except LinkError:  # the next connection says it
            return
        self.progressed()


def settle_s(keepalive_s: float) -> float:
    """Return how long a broker may take a dead connection for a living one (MQTT 3.1.2.10)."""
    return 1.5 * keepalive_s + 5.0
