"""The stand-in center's calls to a district: opened, moved, said again while they last, ended.

What boxes answer is kept by box: who sees the place, which cameras are called up.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from joserfc.jwk import OKPKey
from msgspec import structs

from agent.contract.commands import Reply
from agent.contract.incidents import IncidentCall
from agent.contract.topics import BoxAddress, district_topic
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.errors import CommandError, LinkError
from agent.simulators.center.commander import sign
from agent.uplink.link import Outgoing

SAY_EVERY_S = 10.0
_MOST_ENDED = 20


@dataclass(slots=True)
class Called:
    """One incident as the center sees it. `answers` are the newest of each box."""

    call: IncidentCall
    answers: dict[BoxAddress, Reply] = field(default_factory=dict)


class District(Service):
    """`open`, `move` and `end`; an incident ends by itself at its `exp` all the same."""

    name = "center.district"

    def __init__(self, clock: Clock, publish: Callable[[Outgoing], Awaitable[None]]) -> None:
        super().__init__(clock)
        self._publish = publish
        self.key: OKPKey | None = None
        self.incidents: dict[str, Called] = {}
        self.on_change: Callable[[], None] = lambda: None
        self._handed: dict[str, tuple[str, ...]] = {}  # by incident: who is to be made ready
        self._news = asyncio.Event()

    async def open(self, call: IncidentCall) -> None:
        """Call the boxes. Raises `LinkError` when the broker can't be told now."""
        self.incidents[call.id] = Called(call)
        while len(self.incidents) > _MOST_ENDED:
            del self.incidents[next(iter(self.incidents))]
        await self._say(call)

    async def move(self, incident_id: str, lat: float, lon: float) -> None:
        """Tell where it is now."""
        await self._again(incident_id, lat=lat, lon=lon)

    async def end(self, incident_id: str) -> None:
        """Let everybody go."""
        await self._again(incident_id, ended=True)

    def replied(self, address: BoxAddress, reply: Reply) -> None:
        """Take a box's answer, if it is one to a call."""
        called = self.incidents.get(reply.id)
        if called is not None:
            called.answers[address] = reply
            self._hand_over(called)
            self.on_change()

    def _hand_over(self, called: Called) -> None:
        """See that the boxes hear which of their cameras another box has named as next."""
        answers = (one.result or {} for one in called.answers.values())
        also = tuple(sorted({name for told in answers for name in told.get("next", ())}))
        if also != called.call.also and not called.call.ended:
            self._handed[called.call.id] = also
            self._news.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hand_on())
            await self._say_again()

    async def _hand_on(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._handed:
                incident_id, also = self._handed.popitem()
                try:
                    await self._again(incident_id, also=also)
                except LinkError:  # it is told with the next word
                    continue

    async def _say_again(self) -> None:
        while True:
            self.progressed()
            await self._clock.sleep_s(SAY_EVERY_S)
            now_s = self._clock.utc_now().timestamp()
            for incident_id, called in tuple(self.incidents.items()):
                if not called.call.ended and called.call.exp > now_s and not called.call.follow:
                    try:
                        await self._again(incident_id)
                    except LinkError:
                        continue

    async def _again(self, incident_id: str, **changes: object) -> None:
        called = self.incidents.get(incident_id)
        if called is None:
            raise CommandError("incident.unknown", f"There is no incident {incident_id} here.")
        at = int(self._clock.utc_now().timestamp())
        newer = {"seq": called.call.seq + 1, "iat": min(at, called.call.exp - 1), "grants": ()}
        called.call = structs.replace(called.call, **(newer | changes))
        await self._say(called.call)

    async def _say(self, call: IncidentCall) -> None:
        assert self.key is not None, "open() the center first"  # noqa: S101
        await self._publish(Outgoing(district_topic(call.site), sign(call, self.key)))
        self.on_change()
