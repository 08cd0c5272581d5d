"""The core's line to the supervisor: beats out while its parts progress, process reports in."""

import asyncio

from agent.app.child import SupervisorLink
from agent.core import log
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Components, Service
from agent.core.disk_wait import DiskWait
from agent.messages.supervision import Configure, Processes, ProcessReport

BEAT_S = 2.0
# Parts with a rhythm of their own; the link may wait for hours. One that has nothing to do, such as
# the outputs of a pole without any, has no progress and is not waited for.
REQUIRED = ("worker-hub", "events.assembler", "health", "heat", "pole.inputs", "pole.outputs")


class SupervisorLine(Service):
    """Beats with the age of every component's progress; ends when told nothing."""

    name = "supervisor-line"

    def __init__(
        self,
        link: SupervisorLink,
        components: Components,
        stop: asyncio.Event,
        disk: DiskWait,
        clock: Clock,
    ) -> None:
        super().__init__(clock)
        self._disk = disk
        self._link, self._components, self._stop = link, components, stop
        self.processes: tuple[ProcessReport, ...] = ()
        self.is_orphan = False

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._link.socket, self._hear)
        try:
            while True:
                self.progressed()
                self._link.beat(self._ages_s())
                await self._clock.sleep_s(to_tick_s(self._clock, BEAT_S))
        finally:
            loop.remove_reader(self._link.socket)

    def ask_reload(self) -> None:
        """Tell the supervisor that the desired settings changed."""
        self._link.ask_reload()

    def _ages_s(self) -> dict[str, float]:
        return self._disk.borne(self._components.idle_s(REQUIRED))

    def _hear(self) -> None:
        try:
            while (message := self._link.receive()) is not None:
                if isinstance(message, Processes):
                    self.processes = message.processes
        except EOFError:  # told once: an ended line can be read for ever
            asyncio.get_running_loop().remove_reader(self._link.socket)
            log.get(self.name).warning("the supervisor is gone")
            self.is_orphan = True
            self._stop.set()


async def receive_settings(link: SupervisorLink) -> Configure:
    """Wait for the settings, the first thing the supervisor says. Raises `EOFError`."""
    loop = asyncio.get_running_loop()
    while True:
        message = link.receive()
        if isinstance(message, Configure):
            return message
        arrived: asyncio.Future[None] = loop.create_future()
        loop.add_reader(link.socket, _resolve, arrived)
        try:
            await arrived
        finally:
            loop.remove_reader(link.socket)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
