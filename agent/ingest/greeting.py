"""Asks an unknown peer for a word of RTSP: libav calls silence and nonsense alike invalid data."""

import socket
from enum import Enum, auto
from urllib.parse import urlsplit

RTSP_PORT = 554
GREETING_TIMEOUT_S = 2.0


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
