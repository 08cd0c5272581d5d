"""Gives one order beside a running center: same key, its own connection, no store of its own."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from agent.contract.commands import Actor, Args, Bundle, Clip, Reply, Snapshot, UploadUrls
from agent.contract.config import ConfigReport
from agent.contract.incidents import IncidentCall
from agent.contract.presence import State
from agent.contract.topics import BoxAddress, Channel, parse
from agent.core.clock import Clock
from agent.core.component import Components
from agent.core.errors import CommandError, LinkError
from agent.settings.model import BrokerSettings
from agent.simulators.center.commander import Commander, load_key
from agent.simulators.center.district import District
from agent.simulators.center.fetching import Fetch
from agent.simulators.center.granting import Occasion
from agent.simulators.center.wishes import Wishes
from agent.uplink.link import Incoming, Link, Outgoing

_CONNECT_S = 15.0
_STATE_S, _LAST_WORD_S = 0.5, 10.0


class _Silent:
    """A greeter with nothing to say: it does not speak for the center."""

    def will(self) -> None:
        return None

    def greetings(self) -> Sequence[Outgoing]:
        return ()

    def farewell(self) -> None:
        return None


class Guest:
    """Sends with the signing key in `data_dir`. A running `Center` keeps its own connection."""

    def __init__(
        self, clock: Clock, broker: BrokerSettings, data_dir: Path, address: BoxAddress
    ) -> None:
        self._clock, self._data_dir, self._address = clock, data_dir, address
        self._nonce, self._state_came = "", asyncio.Event()
        self._report: ConfigReport | None = None
        self._report_came = asyncio.Event()
        self._commander: Commander | None = None
        self._on_reply: Callable[[Reply], None] = lambda _: None
        self._link = Link(
            clock,
            broker,
            f"center-{address.site}-{secrets.token_hex(4)}",
            greeter=_Silent(),
            subscriptions=[
                (address.topic(Channel.REPLY), 1),
                (address.topic(Channel.STATE), 0),
                (address.topic(Channel.CONFIG_REPORT), 1),
            ],
            received=self._received,
        )

    async def order(
        self,
        args: Args,
        by: Actor,
        valid_s: float,
        on_reply: Callable[[Reply], None],
        occasion: Occasion | None = None,
        fetch: Fetch | None = None,
    ) -> Reply:
        """Give the order, hand each reply to `on_reply`, return the final one.

        `fetch` takes the order's file in. Raises `LinkError` when the broker can't be reached,
        `CommandError` for a clip without an address: the running center takes files of its own
        orders only.
        """
        if isinstance(args, Clip) and not args.upload_url and fetch is None:
            raise CommandError(
                "order.no_address",
                "A clip needs an address to be sent to.",
                hint="Order it on the center's page, or put a presigned `upload_url` in the order.",
            )
        last: Reply | None = None

        async def give(commander: Commander) -> None:
            nonlocal last
            await self._hear(self._state_came)
            command = commander.new_command(
                self._address, args, by, valid_s=valid_s, nonce=self._nonce, occasion=occasion
            )
            if fetch is not None and isinstance(args, Clip | Snapshot | Bundle):
                url = fetch.address_for(command.id)
                command = structs.replace(command, args=structs.replace(args, upload_url=url))
            async with asyncio.TaskGroup() as tasks:
                async for last in commander.send(self._address, command):
                    on_reply(last)
                    if last.need is not None and fetch is not None:
                        tasks.create_task(bring(commander, await fetch.answer(last.id, last.need)))

        async def bring(commander: Commander, urls: UploadUrls) -> None:
            command = commander.new_command(
                self._address, urls, by, valid_s=valid_s, nonce=self._nonce
            )
            async for _ in commander.send(self._address, command):
                pass

        given = partial(self._connected, give)
        await (given() if fetch is None else fetch.during(given))
        assert last is not None, "an order always ends with a reply"  # noqa: S101
        return last

    async def configure(
        self,
        change: Callable[[dict[str, Any]], dict[str, Any]],
        by: Actor,
        patience_s: float,
        *,
        no_cameras: bool = False,
    ) -> ConfigReport | None:
        """Have the box take `change` of what was wanted last; return what it made of it.

        None: it has said nothing within `patience_s`; the wish is retained and waits for it.
        Raises `LinkError` when the broker can't be reached.
        """
        wishes = Wishes(self._data_dir)
        settings = change(await asyncio.to_thread(wishes.read, self._address))
        found: ConfigReport | None = None

        async def tell(commander: Commander) -> None:
            nonlocal found
            await self._hear(self._report_came)
            desired = await commander.configure(
                self._address, settings, by, self._report, no_cameras=no_cameras
            )
            await asyncio.to_thread(wishes.write, self._address, settings)
            until_mono_s = self._clock.monotonic_s() + patience_s
            while self._clock.monotonic_s() < until_mono_s and found is None:
                if self._report is not None and self._report.version >= desired.version:
                    found = self._report
                await self._clock.sleep_s(0.05)

        await self._connected(tell)
        return found

    async def call(
        self,
        incident: IncidentCall,
        seconds: float,
        on_reply: Callable[[Reply], None],
        then: Sequence[tuple[float, float]] = (),
        every_s: float = 1.0,
    ) -> None:
        """Call the district for so long, hand on what this box answers, let everybody go.

        It moves to one place of `then` (latitude, longitude) after the other.

        Raises `LinkError` when the broker can't be reached.
        """
        district = District(self._clock, self._link.publish)
        district.key = await asyncio.to_thread(load_key, self._data_dir)

        def take(reply: Reply) -> None:
            district.replied(self._address, reply)
            on_reply(reply)

        self._on_reply = take

        async def move() -> None:
            for lat, lon in then:
                await self._clock.sleep_s(every_s)
                await district.move(incident.id, lat, lon)

        async def hold(_: Commander) -> None:
            await district.open(incident)
            async with asyncio.TaskGroup() as tasks:
                works = [tasks.create_task(district.run()), tasks.create_task(move())]
                await self._clock.sleep_s(seconds)
                for work in works:
                    work.cancel()
            await district.end(incident.id)
            until_s = self._clock.monotonic_s() + _LAST_WORD_S
            answers = district.incidents[incident.id].answers
            while self._clock.monotonic_s() < until_s:
                if any(reply.state.is_final for reply in answers.values()):
                    return
                await self._clock.sleep_s(0.1)

        await self._connected(hold)

    async def _connected(self, job: Callable[[Commander], Awaitable[None]]) -> None:
        key = await asyncio.to_thread(load_key, self._data_dir)
        name = self._address.site
        self._commander = commander = Commander(self._clock, key, self._link.publish, name)
        components = Components(self._clock)
        components.add(self._link)
        try:
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(components.run())
                try:
                    await self._get_ready()
                    await job(commander)
                finally:
                    running.cancel()
        except* LinkError as group:
            raise group.exceptions[0] from None

    async def _get_ready(self) -> None:
        until_mono_s = self._clock.monotonic_s() + _CONNECT_S
        while not self._link.status.connected:
            error = self._link.status.error
            if error is not None and (
                not error.retryable or self._clock.monotonic_s() > until_mono_s
            ):
                raise error
            await self._clock.sleep_s(0.05)

    async def _hear(self, came: asyncio.Event) -> None:
        """Wait for what is retained: a nonce for boxes without a clock, a report to build on."""
        try:
            async with asyncio.timeout(_STATE_S):
                await came.wait()
        except TimeoutError:
            return

    async def _received(self, message: Incoming) -> None:
        _, channel = parse(message.topic) or (None, None)
        if channel is Channel.STATE:
            self._nonce = msgspec.json.decode(message.payload, type=State).nonce
            self._state_came.set()
        elif channel is Channel.CONFIG_REPORT:
            self._report = msgspec.json.decode(message.payload, type=ConfigReport)
            self._report_came.set()
        elif channel is Channel.REPLY and self._commander is not None:
            reply = msgspec.json.decode(message.payload, type=Reply)
            self._on_reply(reply)
            self._commander.replied(reply)
