"""As much of an HTTP server as a camera has: one request after the other, kept connections."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agent.core.clock import Clock

_MAX_HEAD_BYTES = 32 * 1024
_MAX_BODY_BYTES = 256 * 1024
_IDLE_S = 60.0
_TURNS = 5  # of the event loop, from accepting a connection to serving it
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpReply:
    """One answer; with `drip_s` the body leaves byte by byte with that pause.

    `said_bytes`: the length it claims where that is not the body's; the connection ends after it.
    """

    status: int
    body: bytes = b""
    content_type: str = "application/soap+xml; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    drip_s: float = 0.0
    said_bytes: int | None = None


Handler = Callable[[HttpRequest], Awaitable[HttpReply]]


class HttpServer:
    """Listens on `host:port` (0: any free port) and hands requests to `handler`."""

    def __init__(
        self,
        host: str,
        port: int,
        handler: Handler,
        clock: Clock,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.host, self._wanted_port, self._handler, self._clock = host, port, handler, clock
        self._tls = tls
        self._connections: set[asyncio.Task[None]] = set()
        self.ready = asyncio.Event()
        self.port = port

    def take_other_port(self) -> None:
        """Be at another port when served next."""
        self._wanted_port = 0

    async def serve(self) -> None:
        """Serve until cancelled; then cut all connections."""
        server = await asyncio.start_server(
            self._serve_connection,
            self.host,
            self._wanted_port,
            limit=_MAX_HEAD_BYTES,
            ssl=self._tls,
            start_serving=False,  # or it waits with open sockets, and may be cancelled there
        )
        self.port = self._wanted_port = server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        try:
            await server.start_serving()
            self.ready.set()
            await loop.create_future()
        finally:
            self.ready.clear()
            for listening in server.sockets:  # a server that is closed loses what it just took
                loop.remove_reader(listening.fileno())
            for _ in range(_TURNS):  # let those begin that were just taken: they are cut, too
                await self._clock.sleep_s(0)
            server.close()
            open_ones = tuple(self._connections)
            for connection in open_ones:
                connection.cancel()
            await asyncio.gather(*open_ones, return_exceptions=True)
            await self._clock.sleep_s(0)  # and let their sockets be closed

    async def _serve_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            while (request := await _read(reader)) is not None:
                reply = await self._handler(request)
                await self._write(writer, reply)
                wants_more = request.headers.get("connection", "").lower() != "close"
                if not wants_more or reply.said_bytes is not None:
                    break
        except (OSError, EOFError, ValueError, TimeoutError, asyncio.LimitOverrunError):
            pass  # the peer went away or does not speak HTTP
        except asyncio.CancelledError:
            # `serve` ends; the stream's own callback must not see a cancelled task
            writer.transport.abort()
        finally:
            writer.transport.abort() if writer.transport.is_closing() else writer.close()

    async def _write(self, writer: asyncio.StreamWriter, reply: HttpReply) -> None:
        head = [
            f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Answer')}",
            f"Content-Type: {reply.content_type}",
            f"Content-Length: {len(reply.body) if reply.said_bytes is None else reply.said_bytes}",
            *(f"{name}: {value}" for name, value in reply.headers),
        ]
        writer.write(("\r\n".join(head) + "\r\n\r\n").encode("latin-1"))
        if reply.drip_s:
            for position in range(len(reply.body)):
                writer.write(reply.body[position : position + 1])
                await writer.drain()
                await self._clock.sleep_s(reply.drip_s)
        else:
            writer.write(reply.body)
        await writer.drain()


async def _read(reader: asyncio.StreamReader) -> HttpRequest | None:
    """Read one request, or None when the peer closed or was idle too long."""
    try:
        async with asyncio.timeout(_IDLE_S):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, path, *_ = head.partition("\r\n")[0].split(" ")
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
            }
            size_bytes = int(headers.get("content-length", "0"))
            if size_bytes > _MAX_BODY_BYTES:
                return None
            return HttpRequest(method, path, headers, await reader.readexactly(size_bytes))
    except (asyncio.IncompleteReadError, TimeoutError):
        return None
