"""Streams of cameras without ONVIF: known RTSP paths by maker, tried one after the other.

Only DESCRIBE is asked and no login is sent; a camera that wants one for every path leaves it open
which of them exist. Blocking, for the command line.
"""

import socket
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct

from agent.cameras.port import CameraUnreachable

_TABLE = Path(__file__).with_name("rtsp_paths.toml")
_ANSWER_S = 3.0
_MAX_HEAD = 4096


class Maker(Struct, frozen=True, forbid_unknown_fields=True):
    """One maker's paths, the likeliest first."""

    name: str
    main: tuple[str, ...]
    sub: tuple[str, ...]


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    maker: tuple[Maker, ...]


class Answered(StrEnum):
    """What became of a try."""

    STREAM = "stream"
    WANTS_LOGIN = "wants-login"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class TriedPath:
    """A known path, and what the camera says to it."""

    maker: str
    stream: str
    path: str
    answered: Answered


@cache
def makers() -> tuple[Maker, ...]:
    """Return the table."""
    return msgspec.convert(tomllib.loads(_TABLE.read_text("utf-8")), _Table).maker


def try_paths(
    host: str, port: int = 554, *, maker: str = "", channel: int = 1
) -> Iterator[TriedPath]:
    """Try the paths of one maker, or of all. Raises `CameraUnreachable` when nobody listens."""
    known = [m for m in makers() if maker.lower() in ("", m.name)]
    for row in known:
        for stream, paths in (("main", row.main), ("sub", row.sub)):
            for template in paths:
                path = template.format(channel=channel)
                yield TriedPath(row.name, stream, path, _describe(host, port, path))


def _describe(host: str, port: int, path: str) -> Answered:
    question = (
        f"DESCRIBE rtsp://{host}:{port}{path} RTSP/1.0\r\nCSeq: 1\r\n"
        "Accept: application/sdp\r\nUser-Agent: Poleside\r\n\r\n"
    )
    try:
        with socket.create_connection((host, port), timeout=_ANSWER_S) as line:
            line.sendall(question.encode())
            head = line.recv(_MAX_HEAD).decode("latin-1")
    except TimeoutError:
        return Answered.NOTHING
    except OSError as error:
        raise CameraUnreachable(f"nobody speaks RTSP at {host}:{port}") from error
    words = head.partition("\r\n")[0].split(" ")
    status = words[1] if len(words) > 1 and words[0].startswith("RTSP/") else ""
    known = {"200": Answered.STREAM, "401": Answered.WANTS_LOGIN}
    return known.get(status, Answered.NOTHING)
