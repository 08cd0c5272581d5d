"""A door before a broker that treats MQTT 5 as brokers do that know 3.1.1 only."""

import asyncio
from contextlib import suppress
from enum import Enum


class Manner(Enum):
    """What becomes of a CONNECT of MQTT 5."""

    HANG = None  # RabbitMQ 3.10
    CLOSE = b""
    REFUSE_IN_311 = b"\x20\x02\x00\x01"
    REFUSE_IN_5 = b"\x20\x03\x00\x84\x00"
    UNSPECIFIED = b"\x20\x03\x00\x80\x00"


class VersionGate:
    """`async with VersionGate(port, manner) as gate:` listens on `gate.port`.

    `versions` are those of all CONNECTs that came.
    """

    def __init__(self, to_port: int, manner: Manner):
        self.to_port, self.manner = to_port, manner
        self.versions: list[int] = []
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader, writer):
        self._writers.add(writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            first = await reader.readexactly(2)
            while first[-1] & 0x80:
                first += await reader.readexactly(1)
            name_and_version = await reader.readexactly(7)
            self.versions.append(name_and_version[6])
            if name_and_version[6] == 5:
                await self._turn_away(reader, writer)
            else:
                await self._let_through(first + name_and_version, reader, writer)
        writer.close()

    async def _turn_away(self, reader, writer):
        if self.manner.value is None:
            await reader.read(-1)
        else:
            writer.write(self.manner.value)
            await writer.drain()

    async def _let_through(self, begun, reader, writer):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        self._writers.add(far_writer)
        far_writer.write(begun)
        await asyncio.gather(_carry(reader, far_writer), _carry(far_reader, writer))


async def _carry(reader, writer):
    with suppress(OSError):
        while piece := await reader.read(4096):
            writer.write(piece)
            await writer.drain()
    writer.close()
