"""A TCP line between a box and its broker that is slow, and may be cut."""

import asyncio
from contextlib import suppress

_PIECE_BYTES = 256


class SlowLink:
    """`async with SlowLink(port, bytes_per_s) as line:` listens on `line.port`."""

    def __init__(self, to_port: int, bytes_per_s: float):
        self.to_port, self.bytes_per_s = to_port, bytes_per_s
        self.carried_bytes = 0
        self._writers = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self.cut()

    def cut(self):
        """End all connections as a lost radio cell does: without a word to the program."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _carry(self, reader, writer):
        with suppress(OSError):
            while piece := await reader.read(_PIECE_BYTES):
                await asyncio.sleep(len(piece) / self.bytes_per_s)
                self.carried_bytes += len(piece)
                writer.write(piece)
                await writer.drain()
        writer.close()
