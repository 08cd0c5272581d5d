"""Asks a peer for a word of RTSP: libav calls silence and nonsense alike invalid data.

And a password that a garbled line has spoilt looks to libav like one that is wrong.
"""

import re
import socket
from enum import Enum, auto
from urllib.parse import urlsplit

RTSP_PORT, RTSPS_PORT = 554, 322
GREETING_TIMEOUT_S = 2.0


_CHALLENGES = 3
_MOST_BYTES = 8 * 1024
_REFUSAL = re.compile(r"RTSP/1\.[01] (401|403)( [\x20-\x7e]*)?")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*:[\t\x20-\x7e]*")
_CHALLENGE = re.compile(r'(Digest|Basic)\s.*realm="[^"]*"', re.IGNORECASE)
_CHANGES = re.compile(r'nonce="[0-9A-Za-z+/=:_-]*"|^date:.*$', re.IGNORECASE | re.MULTILINE)


class Peer(Enum):
    SILENT = auto()
    RTSP = auto()
    OTHER = auto()


def greet(url: str) -> Peer:
    """Connect once more and say who answers."""
    parts = urlsplit(url)
    address = parts.hostname or "", parts.port or RTSP_PORT
    try:
        with socket.create_connection(address, GREETING_TIMEOUT_S) as sock:
            sock.sendall(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")
            answer = sock.recv(64)
    except OSError:
        return Peer.SILENT
    if not answer:
        return Peer.SILENT
    return Peer.RTSP if answer.startswith(b"RTSP/") else Peer.OTHER


def refuses_clearly(url: str) -> bool:
    """Ask without a login a few times: whether the refusals are well-formed, and all alike.

    No try of the password is spent. One who can't be asked again is believed.
    """
    first = _refusal(url)
    for _ in range(_CHALLENGES - 1):
        if not first:
            break
        again = _refusal(url)
        if again != first:
            return again is None
    return first != ""


def _refusal(url: str) -> str | None:
    """Return a refusal without what changes each time; "" of a garbled one, None of silence."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or RTSP_PORT
    shown = f"[{host}]" if ":" in host else host
    plain = parts._replace(netloc=f"{shown}:{port}").geturl()
    try:
        with socket.create_connection((host, port), GREETING_TIMEOUT_S) as sock:
            asked = f"DESCRIBE {plain} RTSP/1.0\r\nCSeq: 7\r\nAccept: application/sdp\r\n\r\n"
            sock.sendall(asked.encode())
            answer = b""
            while b"\r\n\r\n" not in answer and len(answer) < _MOST_BYTES:
                more = sock.recv(1024)
                if not more:
                    break
                answer += more
    except (OSError, UnicodeError):
        return None
    head, end, _ = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    values = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines}
    is_sound = (
        bool(end)
        and _REFUSAL.fullmatch(first) is not None
        and all(_HEADER.fullmatch(line) for line in lines)
        and values.get("cseq") == "7"
        and (" 403" in first or _CHALLENGE.match(values.get("www-authenticate", "")) is not None)
    )
    return _CHANGES.sub("", "\n".join([first, *lines])) if is_sound else ""
