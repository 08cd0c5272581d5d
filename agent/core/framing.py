"""Messages over a stream: a 4-byte big-endian length, then that many bytes.

Used on the local sockets between the processes of a box, in blocking code (`send_message`,
`recv_message`), in asyncio (`write_frame`, `read_frame`) and sans-IO (`MessageSplitter`). A length
beyond the cap is refused before any memory is taken for it: a broken peer can't exhaust the box.
"""

import asyncio
import socket
from collections.abc import Iterator

from agent.core.errors import PolesideError

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
_PREFIX_BYTES = 4


class FramingError(PolesideError):
    """The stream can't be used any longer: close it.

    Codes: "framing.too_long" (a length beyond the cap), "framing.cut" (it ended in mid-message).
    """


def send_message(
    sock: socket.socket, payload: bytes | memoryview, *, max_bytes: int = MAX_MESSAGE_BYTES
) -> None:
    """Send one message on a blocking socket. Raises `FramingError` beyond the cap, or `OSError`."""
    sock.sendall(_prefix(len(payload), max_bytes))
    sock.sendall(payload)


def recv_message(sock: socket.socket, *, max_bytes: int = MAX_MESSAGE_BYTES) -> bytes | None:
    """Return the next message of a blocking socket, None when the peer closed between messages.

    A socket time-out applies to each wait for bytes. Raises `FramingError` or `OSError`.
    """
    prefix = _recv_exactly(sock, _PREFIX_BYTES)
    if not prefix:
        return None
    length = _length(prefix, max_bytes)
    body = _recv_exactly(sock, length)
    if len(body) < length:
        raise _cut()
    return bytes(body)


async def write_frame(
    writer: asyncio.StreamWriter, payload: bytes | memoryview, *, max_bytes: int = MAX_MESSAGE_BYTES
) -> None:
    """Send one message and wait for room. Raises `FramingError` beyond the cap, or `OSError`."""
    writer.write(_prefix(len(payload), max_bytes))
    writer.write(payload)
    await writer.drain()


async def read_frame(
    reader: asyncio.StreamReader, *, max_bytes: int = MAX_MESSAGE_BYTES
) -> bytes | None:
    """Return the next message, None when the peer closed between messages.

    Raises `FramingError` or `OSError`.
    """
    try:
        length = _length(await reader.readexactly(_PREFIX_BYTES), max_bytes)
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        if not error.partial and error.expected == _PREFIX_BYTES:
            return None
        raise _cut() from error


class MessageSplitter:
    """Cuts what arrives on a non-blocking stream into messages."""

    def __init__(self, *, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._pending = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take `chunk`, yield each message it completes. Raises `FramingError` beyond the cap."""
        self._pending += chunk
        while len(self._pending) >= _PREFIX_BYTES:
            end = _PREFIX_BYTES + _length(self._pending, self._max_bytes)
            if len(self._pending) < end:
                return
            message = bytes(memoryview(self._pending)[_PREFIX_BYTES:end])
            del self._pending[:end]
            yield message


def _prefix(length: int, max_bytes: int) -> bytes:
    if length > max_bytes:
        raise _too_long(length, max_bytes)
    return length.to_bytes(_PREFIX_BYTES, "big")


def _length(prefix: bytes | bytearray, max_bytes: int) -> int:
    length = int.from_bytes(prefix[:_PREFIX_BYTES], "big")
    if length > max_bytes:
        raise _too_long(length, max_bytes)
    return length


def _recv_exactly(sock: socket.socket, wanted: int) -> bytearray:
    """Return `wanted` bytes, or none at all when the peer has closed before the first one."""
    data = bytearray(wanted)
    view, got = memoryview(data), 0
    while got < wanted:
        count = sock.recv_into(view[got:])
        if count == 0:
            if got:
                raise _cut()
            return bytearray()
        got += count
    return data


def _too_long(length: int, max_bytes: int) -> FramingError:
    return FramingError(
        "framing.too_long",
        f"A message of {length} bytes is over the cap of {max_bytes}.",
        hint="Close the connection; if both ends are the same version, report it.",
    )


def _cut() -> FramingError:
    return FramingError(
        "framing.cut",
        "The connection ended in the middle of a message.",
        hint="Connect again; look in the other process's log for why it stopped.",
        retryable=True,
    )
