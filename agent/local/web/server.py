"""Runs a page on a socket inside the caller's event loop: uvicorn with h11, quiet, no signals."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from agent.core.errors import PolesideError

_MAX_CONNECTIONS = 64  # some phones and one wall screen; more gets 503 instead of our memory


class PageError(PolesideError):
    """The page can't be served."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What a page is served with over HTTPS; who shows a client certificate must have one of `ca`.

    It may also show none: the page decides what it needs. Without `ca` nobody is asked for one.
    """

    certificate: Path
    key: Path
    ca: Path | None = None


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process that runs us."""
        yield


def open_listener(listen: str) -> socket.socket:
    """Return a socket that listens on `host:port` (port 0: any free one).

    Raises `PageError` when the address can't be had, where uvicorn would end the process.
    """
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets that name their protocol; without it a browser that
    # keeps its connection waits 40 ms for each answer (Nagle and delayed acknowledgement).
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, int(port)))
        bound.listen()
    except (OSError, ValueError, OverflowError) as error:
        bound.close()
        raise PageError(
            "page.address",
            f"the page can't listen on `{listen}`: {error}",
            hint="set `page.listen` to a free `host:port`",
            retryable=True,
        ) from error
    return bound


async def serve(
    app: ASGIApp, listen: str | socket.socket, stop: asyncio.Event, tls: ServerTls | None = None
) -> None:
    """Serve `app` until `stop` is set; open connections get two seconds to finish.

    Raises `PageError` when the address can't be had.
    """
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MAX_CONNECTIONS,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=2,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
        ssl_ca_certs=str(tls.ca) if tls and tls.ca else None,
        ssl_cert_reqs=ssl.CERT_OPTIONAL if tls and tls.ca else ssl.CERT_NONE,
    )
    server = _Server(config)

    async def end() -> None:
        await stop.wait()
        server.should_exit = True

    with open_listener(listen) if isinstance(listen, str) else listen as bound:
        async with asyncio.TaskGroup() as tasks:
            ending = tasks.create_task(end())
            await server.serve(sockets=[bound])
            ending.cancel()
