"""The relay in a thread of the test; `with RelayThread() as relay:`."""

import asyncio
import threading

from agent.core.clock import SystemClock
from agent.simulators.relay.relay import Relay

PATIENCE_S = 30.0


class RelayThread:
    """Notes every token it is shown; `admits` may be set."""

    def __init__(self, tls=None, digest_for=""):
        self.tokens, self.tls, self.digest_for = [], tls, digest_for
        self.admits = lambda _token: True

    def __enter__(self):
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="relay")
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(PATIENCE_S)

    def url(self, name="gate"):
        where = (
            f"s://localhost:{self.relay.port}" if self.tls else f"://127.0.0.1:{self.relay.port}"
        )
        return f"rtsp{where}/{name}"

    def publication(self, name="gate"):
        return self.relay.publications.get(name)

    def packets(self, name="gate"):
        publication = self.publication(name)
        return 0 if publication is None else publication.packets_total

    def hang(self):
        self._loop.call_soon_threadsafe(self.relay.hang)

    def drop(self):
        self._loop.call_soon_threadsafe(self.relay.drop)

    def _admits(self, _name, token):
        self.tokens.append(token)
        return self.admits(token)

    async def _serve(self):
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self.relay = Relay(
            SystemClock(), admits=self._admits, tls=self.tls, digest_for=self.digest_for
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.relay.serve())
                await self.relay.listening.wait()
                self._ready.set()
        except asyncio.CancelledError:
            return
