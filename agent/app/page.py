"""The box's page as a component of the core: a page that fails never takes the voice along."""

import asyncio

from agent.core.clock import Clock
from agent.core.component import Service
from agent.local.web.app import create_app
from agent.local.web.server import serve
from agent.local.web.view import BoxView


class PageServer(Service):
    """Serves the page on `listen` until cancelled."""

    name = "page"

    def __init__(self, box: BoxView, listen: str, clock: Clock) -> None:
        super().__init__(clock)
        self._box, self._listen = box, listen

    async def run(self) -> None:
        stop = asyncio.Event()
        try:
            await serve(create_app(self._box, self._clock), self._listen, stop)
        finally:
            stop.set()
