"""Serves a page from a thread of its own, and asks it plain HTTP questions."""

import asyncio
import contextlib
import http.client
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from starlette.types import ASGIApp

from agent.local.web.server import ServerTls, open_listener, serve


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Served:
    port: int
    stop: object = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers) -> Answer:
        """Ask; underscores in header names stand for dashes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        with contextlib.closing(connection):
            connection.request(method, path, body, names)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())


@contextlib.contextmanager
def served(
    app: ASGIApp,
    port: int = 0,
    around: contextlib.AbstractAsyncContextManager[object] | None = None,
    tls: ServerTls | None = None,
) -> Iterator[Served]:
    """Serve `app` on `port` (0: any) until the block ends or `stop()` is called.

    `around` is entered first, in the event loop that serves.
    """
    listener = open_listener(f"127.0.0.1:{port}")
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    is_up = threading.Event()

    async def run() -> None:
        stop = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stop))
        async with around or contextlib.nullcontext():
            is_up.set()
            await serve(app, listener, stop, tls)

    thread = threading.Thread(target=lambda: asyncio.run(run()))

    def end() -> None:
        if thread.is_alive():
            loop, stop = loops[0]
            loop.call_soon_threadsafe(stop.set)
            thread.join(10)

    port = listener.getsockname()[1]
    thread.start()
    assert is_up.wait(10)
    try:
        yield Served(port, end)
    finally:
        end()
