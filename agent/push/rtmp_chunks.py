"""RTMP's messages in chunks (Adobe, "RTMP 1.0", section 5): ours out, the relay's in."""

from dataclasses import dataclass

CHUNK_BYTES = 0x10000  # ours: a picture is cut as rarely as possible
SET_CHUNK, USER_CONTROL, VIDEO, DATA, COMMAND = 1, 4, 9, 18, 20
CONTROL_STREAM, COMMAND_STREAM, VIDEO_STREAM = 2, 3, 6
_PING, _PONG = b"\0\6", b"\0\7"
_FIRST_CHUNK_BYTES, _LONG_TIME, _MOST_BYTES = 128, 0xFFFFFF, 1 << 20
_HEADER_BYTES = (11, 7, 3, 0)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the relay."""

    kind: int
    body: bytes


def pack(chunk_stream: int, kind: int, body: bytes, *, time_ms: int = 0, stream: int = 0) -> bytes:
    """Return a message with a whole header, in chunks of `CHUNK_BYTES`."""
    time_ms &= 0xFFFFFFFF
    late = time_ms.to_bytes(4) if time_ms >= _LONG_TIME else b""
    parts = [bytes([chunk_stream]), min(time_ms, _LONG_TIME).to_bytes(3)]
    parts += [len(body).to_bytes(3), bytes([kind]), stream.to_bytes(4, "little"), late]
    for at in range(0, max(1, len(body)), CHUNK_BYTES):
        if at:
            parts += [bytes([0xC0 | chunk_stream]), late]
        parts.append(body[at : at + CHUNK_BYTES])
    return b"".join(parts)


def chunk_size() -> bytes:
    """Return the word that tells how long our chunks are; said before any longer one."""
    return pack(CONTROL_STREAM, SET_CHUNK, CHUNK_BYTES.to_bytes(4))


def pong_to(message: Message) -> bytes:
    """Return the answer to a ping, else nothing."""
    if message.kind != USER_CONTROL or message.body[:2] != _PING:
        return b""
    return pack(CONTROL_STREAM, USER_CONTROL, _PONG + message.body[2:])


class Reader:
    """Takes bytes as they come and returns the messages that are whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._chunk_bytes = _FIRST_CHUNK_BYTES
        self._parts: dict[bytes, _Part] = {}

    def feed(self, data: bytes) -> list[Message]:
        """Take more. Raises `ValueError` when it is no RTMP."""
        self._buffer += data
        messages: list[Message] = []
        while (size := self._chunk(messages)) > 0:
            del self._buffer[:size]
        return messages

    def _chunk(self, messages: list[Message]) -> int:
        """Take one chunk; return its length, 0 while it is not whole."""
        buffer = self._buffer
        if len(buffer) < 3:
            return 0
        form, number = buffer[0] >> 6, buffer[0] & 63
        at = 2 + number if number < 2 else 1  # such a number goes on in one or two bytes more
        part = self._parts.setdefault(bytes([number]) + buffer[1:at], _Part())
        head = buffer[at : at + _HEADER_BYTES[form]]
        if len(head) < _HEADER_BYTES[form]:
            return 0
        if form < 3:
            part.is_late = head[:3] == b"\xff\xff\xff"
        if form < 2:
            part.size_bytes, part.kind = int.from_bytes(head[3:6]), head[6]
        at += len(head) + (4 if part.is_late else 0)
        size_bytes = part.size_bytes
        if size_bytes > _MOST_BYTES:
            raise ValueError("a message too long")
        take = min(self._chunk_bytes, size_bytes - len(part.body))
        if len(buffer) < at + take:
            return 0
        part.body += buffer[at : at + take]
        if len(part.body) >= size_bytes:
            self._whole(Message(part.kind, bytes(part.body)), messages)
            part.body.clear()
        return at + take

    def _whole(self, message: Message, messages: list[Message]) -> None:
        if message.kind == SET_CHUNK and len(message.body) >= 4:
            self._chunk_bytes = max(1, int.from_bytes(message.body[:4]) & 0x7FFFFFFF)
        messages.append(message)


class _Part:
    """What has come of a message, on one chunk stream."""

    def __init__(self) -> None:
        self.size_bytes = self.kind = 0
        self.body, self.is_late = bytearray(), False
