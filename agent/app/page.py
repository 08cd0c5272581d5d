"""The box's page as a component of the core: a page that fails never takes the voice along."""

import asyncio

from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.local.web.app import create_app
from agent.local.web.server import PageError, serve
from agent.local.web.view import BoxView

RETRY_S = 10.0


class PageServer(Service):
    """Serves the page on `listen` until cancelled."""

    name = "page"

    def __init__(self, box: BoxView, listen: str, clock: Clock) -> None:
        super().__init__(clock)
        self._box, self._listen = box, listen
        self._log = log.get(self.name)
        self.fault = ""

    async def run(self) -> None:
        while True:
            stop = asyncio.Event()
            try:
                await serve(create_app(self._box, self._clock), self._listen, stop)
            except PageError as error:  # another program has the port: say so, try again
                if str(error) != self.fault:
                    self._log.error(
                        "no page", code=error.code, reason=error.message, hint=error.hint
                    )
                self.fault = str(error)
            finally:
                stop.set()
            await self._clock.sleep_s(RETRY_S)
