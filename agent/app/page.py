"""The box's page as a component of the core: a page that fails never takes the voice along."""

import asyncio
import ipaddress
from pathlib import Path

from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.db import Database
from agent.core.errors import PolesideError
from agent.local.access.certificate import own_certificate
from agent.local.access.claim import ClaimCheck
from agent.local.access.desk import AccessDesk, Note
from agent.local.service.pages import ServiceTools
from agent.local.setup.pages import SetupTools
from agent.local.web.app import create_app
from agent.local.web.guard import LOOPBACK_HOSTS
from agent.local.web.server import serve
from agent.local.web.view import BoxView
from agent.settings.model import PageSettings

RETRY_S = 10.0


class PageServer(Service):
    """Serves the page as set until cancelled.

    On a loopback address: plain HTTP, open to read unless `login` is set. On any other: TLS with
    the box's own certificate, and nothing without a login.
    """

    name = "page"

    def __init__(
        self,
        box: BoxView,
        settings: PageSettings,
        data_dir: Path,
        box_id: str,
        claim: ClaimCheck,
        tools: SetupTools,
        service: ServiceTools,
        db: Database,
        note: Note,
        clock: Clock,
    ) -> None:
        super().__init__(clock)
        self._box, self._settings = box, settings
        self._tools, self._service = tools, service
        self._data_dir, self._box_id = data_dir, box_id
        self._is_local = is_loopback(settings.listen)
        is_open = self._is_local and not settings.login
        self._desk = AccessDesk(db, claim, note, clock, is_open=is_open)
        self._log = log.get(self.name)
        self.fault = ""

    async def run(self) -> None:
        while True:
            stop = asyncio.Event()
            try:
                await self._serve(stop)
            except PolesideError as error:  # another program has the port: say so, try again
                if str(error) != self.fault:
                    self._log.error(
                        "no page", code=error.code, reason=error.message, hint=error.hint
                    )
                self.fault = str(error)
            finally:
                stop.set()
            await self._clock.sleep_s(RETRY_S)

    async def _serve(self, stop: asyncio.Event) -> None:
        listen, hosts = self._settings.listen, LOOPBACK_HOSTS | set(self._settings.hosts)
        app = create_app(
            self._box,
            self._clock,
            hosts,
            self._desk,
            self._tools,
            self._service,
            by_address=not self._is_local,
        )
        tls = None
        if not self._is_local:
            names = (*self._settings.hosts, f"{self._box_id}.local")
            tls = await asyncio.to_thread(
                own_certificate, self._data_dir, self._box_id, names, self._clock
            )
        await serve(app, listen, stop, tls)


def is_loopback(listen: str) -> bool:
    """Say whether an address to listen at can be reached from this machine alone."""
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
