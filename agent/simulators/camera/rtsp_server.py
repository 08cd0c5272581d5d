"""The simulated camera's RTSP server (RFC 2326): live streams over TCP, digest login, faults."""

import asyncio
import ssl
from collections.abc import Mapping

from agent.core.clock import Clock
from agent.core.errors import PolesideError
from agent.simulators.camera.digest import Credentials
from agent.simulators.camera.faults import Faults
from agent.simulators.camera.live_stream import LiveStream
from agent.simulators.camera.rtsp_connection import RtspConnection

_LOOK_EVERY_S = 0.2


class RtspServer:
    """Serves `streams` by name (`main` is rtsp://host:port/main) until `serve` is cancelled.

    `faults` may be changed at any time. With `tls` it is an rtsps:// server. Port 0 takes
    a free one; read `port` after `listening`.
    """

    def __init__(
        self,
        streams: Mapping[str, LiveStream],
        *,
        host: str,
        port: int,
        credentials: Credentials,
        clock: Clock,
        faults: Faults,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._streams, self._credentials, self._clock = streams, credentials, clock
        self._host, self.port = host, port
        self.faults, self._tls = faults, tls
        self.listening = asyncio.Event()
        self.logins_seen = 0  # requests that carried one
        self._listener: asyncio.Server | None = None
        self._connections: set[RtspConnection] = set()

    @property
    def lost_gops_total(self) -> int:
        """GOPs that viewers lost because they did not read."""
        return sum(stream.lost_gops_total for stream in self._streams.values())

    async def serve(self) -> None:
        """Listen and send until cancelled. A taken port raises PolesideError."""
        await self._listen()
        try:
            async with asyncio.TaskGroup() as tasks:
                for stream in self._streams.values():
                    tasks.create_task(stream.run())
                tasks.create_task(self._follow_faults())
        finally:
            self._stop_listening()
            self._drop_connections()

    async def _listen(self) -> None:
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                self._new_connection, self._host, self.port, ssl=self._tls
            )
        except OSError as error:
            raise PolesideError(
                "simulator.port-taken",
                f"The simulated camera can't listen on {self._host}:{self.port}: {error.strerror}.",
                hint="Stop the program that uses this port, or give the camera another one.",
            ) from error
        self.port = self._listener.sockets[0].getsockname()[1]
        self.listening.set()

    def _new_connection(self) -> RtspConnection:
        return RtspConnection(
            self._streams, self._credentials, self.faults, self._connections, self._saw_login
        )

    def _saw_login(self) -> None:
        self.logins_seen += 1

    async def _follow_faults(self) -> None:
        while True:
            if self.faults.disconnect:
                self._drop_connections()
                self.faults.disconnect = False
            if self.faults.reset:
                for connection in tuple(self._connections):
                    connection.reset()
                self.faults.reset = False
            if self.faults.refuse:
                self._stop_listening()
            elif self._listener is None:
                await self._listen()
            await self._clock.sleep_s(_LOOK_EVERY_S)

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            self.listening.clear()

    def _drop_connections(self) -> None:
        for connection in tuple(self._connections):
            connection.drop()
