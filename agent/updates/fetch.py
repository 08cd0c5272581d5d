"""Brings a bundle onto the box over a bad line: by ranges, resumable, paced, counted. In a thread.

With an index of its blocks only those are fetched that the bundle kept from before has not. What
came is on the disk before it is counted on, and is proven when the fetch goes on; at the end the
SHA-256 of the order decides. Redirects are refused: the center signed one address and no other.
"""

import hashlib
import http.client
import os
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn
from urllib.parse import SplitResult

from agent.core.clock import Clock, wait_s
from agent.core.errors import CommandError
from agent.core.file_store import Way, address_of, connection_to, cut, target_of
from agent.updates import blocks
from agent.updates.blocks import BlockIndex, Span

CHUNK_BYTES = 64 * 1024
_PIECE_BYTES = 4 * 1024 * 1024  # asked for at once: a cut costs the line no more than this
_LEFT_FREE_BYTES = 256 * 1024 * 1024  # of the disk: recording goes on

Spend = Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The bundle as it was ordered. `blocks_url` empty: there is no index of its blocks."""

    url: str
    blocks_url: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where it goes: `part` grows, `kept` is the bundle from before (which need not be there)."""

    part: Path
    kept: Path


class FetchError(CommandError):
    """The bundle is not whole yet. `spoilt`: trying again with this order is of no use."""

    def __init__(self, code: str, message: str, *, hint: str, spoilt: bool = False) -> None:
        super().__init__(code, message, hint=hint, retryable=not spoilt)
        self.spoilt = spoilt


class Fetch:
    """`run()` blocks until the bundle is whole; `abort()` from another thread ends it soon.

    `spend` is told of each chunk's bytes; False ends the fetch (code `update.held_back`).
    `received_bytes` counts what came over the line, `have_bytes` what is there.
    """

    def __init__(self, wanted: Wanted, place: Place, way: Way, spend: Spend, clock: Clock) -> None:
        self._wanted, self._place, self._way = wanted, place, way
        self._spend, self._clock = spend, clock
        self._stop = threading.Event()
        self._line: http.client.HTTPConnection | None = None
        self.received_bytes = self.have_bytes = 0

    def abort(self) -> None:
        """Stop fetching at once, also on a line that gives nothing; what came stays."""
        self._stop.set()
        cut(self._line)

    def run(self) -> None:
        """Fetch what is missing and prove the whole. Raises `FetchError`, `OSError` of the disk."""
        wanted, part = self._wanted, self._place.part
        self._check_room()
        index = self._index() if wanted.blocks_url else None
        if index is None:
            spans = self._rest()
        else:
            if self._place.kept.is_file():
                blocks.take_over(index, self._place.kept, part)
            with part.open("ab") as file:
                file.truncate(wanted.size_bytes)
            spans = blocks.missing(index, part)
        self.have_bytes = wanted.size_bytes - sum(span.end - span.start for span in spans)
        with part.open("r+b") as file, closing(self._connection(wanted.url)) as connection:
            for span in spans:
                for start in range(span.start, span.end, _PIECE_BYTES):
                    piece = Span(start, min(start + _PIECE_BYTES, span.end))
                    self._piece(connection, piece, file)
        self._prove()

    def _check_room(self) -> None:
        facts = os.statvfs(self._place.part.parent)
        had = self._place.part.stat().st_blocks * 512 if self._place.part.exists() else 0
        if facts.f_bavail * facts.f_frsize + had < self._wanted.size_bytes + _LEFT_FREE_BYTES:
            raise FetchError(
                "update.no_room",
                "The disk has no room for the bundle.",
                hint="Shorten `retention` or free the disk; it is tried again by itself.",
            )

    def _rest(self) -> list[Span]:
        """Return what follows what is there: without an index the file grows from its start."""
        part, size_bytes = self._place.part, self._wanted.size_bytes
        part.touch()
        have = part.stat().st_size
        if have > size_bytes:
            os.truncate(part, 0)
            have = 0
        return [Span(have, size_bytes)] if have < size_bytes else []

    def _index(self) -> BlockIndex:
        """Fetch the index, whose size the bundle's own size gives."""
        wanted = self._wanted
        size_bytes = blocks.length_of(
            BlockIndex(wanted.size_bytes, (b"",) * -(-wanted.size_bytes // blocks.BLOCK_BYTES))
        )
        data = bytearray()
        with closing(self._connection(wanted.blocks_url)) as connection:
            answer = self._ask(connection, wanted.blocks_url, None)
            while chunk := self._chunk(answer, size_bytes + 1 - len(data)):
                data += chunk
            if answer.length:  # http.client takes a line that ended in the middle for the end
                self._lost(connection.host)
        try:
            return blocks.read_index(bytes(data), wanted.size_bytes)
        except ValueError as error:
            raise FetchError(
                "update.index",
                f"The list of the bundle's blocks can't be used: {error}.",
                hint="Make it anew with `poleside update index BUNDLE`, or order without one.",
                spoilt=True,
            ) from error

    def _piece(self, connection: http.client.HTTPConnection, piece: Span, file: BinaryIO) -> None:
        answer = self._ask(connection, self._wanted.url, piece)
        file.seek(piece.start)
        left = piece.end - piece.start
        try:
            while left:
                chunk = self._chunk(answer, left)
                if not chunk:
                    self._lost(connection.host)
                file.write(chunk)
                left -= len(chunk)
                self.have_bytes += len(chunk)
        finally:
            file.flush()
            os.fdatasync(file.fileno())

    def _ask(
        self, connection: http.client.HTTPConnection, url: str, piece: Span | None
    ) -> http.client.HTTPResponse:
        self._check_stop()
        headers = {"Accept-Encoding": "identity"}
        if piece is not None:
            headers["Range"] = f"bytes={piece.start}-{piece.end - 1}"
        try:
            connection.request("GET", target_of(self._address(url)), headers=headers)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._lost(connection.host, error)
        _judge(answer.status, connection.host, in_part=piece is not None)
        return answer

    def _chunk(self, answer: http.client.HTTPResponse, most: int) -> bytes:
        """Read a little; "" at the end. Paced, and within the budget."""
        try:
            chunk = answer.read(min(CHUNK_BYTES, most)) if most > 0 else b""
        except (OSError, http.client.HTTPException) as error:
            self._lost("the store", error)
        self.received_bytes += len(chunk)
        self._check_stop()
        if not self._spend(len(chunk)):
            raise FetchError(
                "update.held_back",
                "No more may go over the line now.",
                hint="See `uploads.window`, `uploads.daily_bytes`, `data`; it goes on by itself.",
            )
        if self._way.max_bps is not None:
            wait_s(self._stop, len(chunk) * 8 / self._way.max_bps)
        return chunk

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise FetchError("update.stopped", "The fetch was stopped.", hint="It goes on later.")

    def _connection(self, url: str) -> http.client.HTTPConnection:
        try:
            self._line = connection_to(self._address(url), self._way)
        except (OSError, ValueError) as error:
            raise FetchError(
                "update.tls",
                "The authority for the file store can't be read.",
                hint="Check `uploads.ca_file`.",
            ) from error
        return self._line

    def _address(self, url: str) -> SplitResult:
        try:
            return address_of(url, plain_http=self._way.plain_http)
        except ValueError as error:
            raise FetchError(
                "update.address",
                "The bundle's address is not an https address.",
                hint="Presign https addresses, or allow `uploads.plain_http` in a closed network.",
                spoilt=True,
            ) from error

    def _prove(self) -> None:
        part = self._place.part
        with part.open("rb") as file:
            proven = hashlib.file_digest(file, "sha256").hexdigest() == self._wanted.sha256
        if not proven:
            part.unlink()
            raise FetchError(
                "update.damaged",
                "What was fetched is not the bundle that was ordered.",
                hint="Compare the order's `sha256` with the file in the store.",
            )

    def _lost(self, host: str, error: Exception | None = None) -> NoReturn:
        raise FetchError(
            "update.unreachable",
            f"The bundle could not be fetched from {host}.",
            hint="Check the box's way to the file store; it is tried again by itself.",
        ) from error


def _judge(status: int, host: str, *, in_part: bool) -> None:
    if status == (206 if in_part else 200):
        return
    if status == 200:
        raise FetchError(
            "update.no_ranges",
            f"{host} gives whole files only, no parts.",
            hint="Put the bundle into a store that knows HTTP ranges, as S3 types do.",
            spoilt=True,
        )
    raise FetchError(
        "update.refused_by_store",
        f"{host} does not give the bundle: HTTP {status}.",
        hint="Order it again with a fresh address.",
        spoilt=300 <= status < 500 and status not in (408, 425, 429),
    )
