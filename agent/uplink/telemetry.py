"""A health sample every so often, at most once each: the next one tells the same better."""

from collections.abc import Awaitable, Callable

import msgspec
from msgspec.structs import replace

from agent.contract.telemetry import Telemetry
from agent.contract.topics import MAX_BYTES, BoxAddress, Channel
from agent.core import log
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.core.errors import LinkError
from agent.uplink.coarse import coarse
from agent.uplink.link import Link, Outgoing

_LOOK_S = 5.0
_AT_ONCE_S = 15.0  # a camera that comes and goes is not told each time …
_EARLY, _EARLY_EVERY_S = 6.0, 300.0  # … and only so often in a row; then one in so many seconds


class TelemetrySender(Service):
    """Asks `sample` every `period_s` while connected, at once after connecting, and publishes.

    `stretch` says how many times longer the period is just now; `held` is told what is left out.
    When `facts` change, the next sample comes soon: nothing wrong is left standing at the center.
    What changes all the time has a bound: 12 an hour beyond the period, after a first few.
    """

    name = "uplink.telemetry"

    def __init__(
        self,
        clock: Clock,
        link: Link,
        address: BoxAddress,
        period_s: float,
        sample: Callable[[], Awaitable[Telemetry]],
        pack: Callable[[bytes], bytes] = bytes,
        stretch: Callable[[], int] = lambda: 1,
        held: Callable[[int], None] = lambda _: None,
        facts: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(clock)
        self._link, self._address = link, address
        self._period_s, self._sample, self._pack = period_s, sample, pack
        self._stretch, self._held, self._facts = stretch, held, facts
        self._early = _EARLY  # samples that may come before their time
        self._log = log.get(self.name)

    async def run(self) -> None:
        while True:
            await self._link.connected()
            told = self._facts()
            body = self._fitting(await self._sample())
            if body is None:
                self._log.warning("telemetry too large, not sent")
            else:
                await self._send(body)
            await self._rest(told)

    def _fitting(self, sample: Telemetry) -> bytes | None:
        """Return the sample as it may be sent; without what matters least, if else it is too long.

        Plain JSON of many cameras can be; packed, none is.
        """
        sample = coarse(sample)
        without_processes = replace(sample, processes=())
        for told in (sample, without_processes, replace(without_processes, board=None)):
            body = self._pack(msgspec.json.encode(told))
            if len(body) <= MAX_BYTES[Channel.TELEMETRY]:
                return body
        return None

    async def _rest(self, told: object) -> None:
        """Sleep a period, or as many as are asked for; less when what was told is not so now."""
        slept_s, step_s = 0.0, min(_LOOK_S, self._period_s)
        while slept_s < self._period_s * self._stretch():
            await self._clock.sleep_s(to_tick_s(self._clock, step_s))
            slept_s += step_s
            self._early = min(_EARLY, self._early + step_s / (_EARLY_EVERY_S * self._stretch()))
            self.progressed()
            is_time = self._early >= 1 and slept_s >= _AT_ONCE_S * self._stretch()
            if is_time and self._facts() != told:
                self._early -= 1
                break
        self._held(max(0, int(slept_s / self._period_s) - 1))

    async def _send(self, body: bytes) -> None:
        try:
            topic = self._address.topic(Channel.TELEMETRY)
            await self._link.publish(Outgoing(topic, body, qos=0, expires_s=self._period_s))
        except LinkError:
            return  # the link says so itself; the next sample follows
        self.progressed()
