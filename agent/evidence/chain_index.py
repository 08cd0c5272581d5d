"""The chain in a camera's `index.db`: written by its worker, read for a clip.

The chain's head is read from the index each time, so that a transaction which was undone leaves no
trace in the chain either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from sqlite3 import Connection, Row

import msgspec
from msgspec import UNSET

from agent.contract.evidence import HeadMark
from agent.core import log
from agent.core.clock import Clock
from agent.core.errors import StorageError
from agent.evidence.box_key import BoxKey, b64
from agent.evidence.gop import FIRST_LINK, Gop, Origin, RunHeader, link, pack, unpack
from agent.evidence.signer import HeadStatement, SignedHead, sign_head

SIGN_EVERY_US = 60_000_000
DIGEST_BYTES = 32
MAIN, SUB = "main", "sub"
_HEAD_TABLES = {MAIN: "chain_head", SUB: "sub_chain_head"}


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the chain of a run begins with."""

    run_id: int
    codec: str
    parameters: bytes
    started_us: int
    time_quality: str


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Where a camera's chain stands. `seq` counts a run's GOPs from 0."""

    run_id: int = 0
    seq: int = -1
    link: bytes = FIRST_LINK
    media_us: int = 0
    signed_seq: int = -1
    signed_media_us: int = 0


class ChainWriter:
    """Appends to the chain of one camera's stream and signs its head."""

    def __init__(
        self,
        box: str,
        camera: str,
        key: Callable[[], BoxKey],
        clock: Clock,
        stream: str = MAIN,
    ) -> None:
        self._box, self._camera, self._key, self._clock = box, camera, key, clock
        self._stream = stream
        self._log = log.get("evidence.chain")

    def append(
        self,
        connection: Connection,
        run: RunFacts,
        segment_id: int,
        gops: list[Gop],
        origin: Origin,
    ) -> None:
        """Tie a segment's GOPs, in order, to the chain; once only, whoever asks again."""
        known = connection.execute(
            "SELECT 1 FROM segment_gops WHERE segment_id = ?", (segment_id,)
        ).fetchone()
        if known or not gops:
            return
        head = read_head(connection, self._stream)
        if head.run_id != run.run_id:
            head = self._begin_run(connection, run, head)
        numbered = [
            msgspec.structs.replace(gop, seq=head.seq + number, origin=origin)
            for number, gop in enumerate(gops, start=1)
        ]
        connection.execute(
            "INSERT INTO segment_gops (segment_id, run_id, first_seq, start_us, origin, "
            "link_before, gops)"
            " VALUES (?,?,?,?,?,?,?)",
            (
                segment_id,
                run.run_id,
                numbered[0].seq,
                numbered[0].start_us,
                origin,
                head.link,
                pack(numbered),
            ),
        )
        at = head.link
        for gop in numbered:
            at = link(at, run.run_id, gop)
        last = numbered[-1]
        now = replace(head, seq=last.seq, link=at, media_us=last.start_us)
        _write_head(connection, self._stream, now)

    def sign_if_due(self, connection: Connection, *, at_once: bool) -> None:
        """Sign the head when a minute of video lies behind the last signature, or `at_once`."""
        head = read_head(connection, self._stream)
        if head.seq <= head.signed_seq:
            return
        if at_once or abs(head.media_us - head.signed_media_us) >= SIGN_EVERY_US:
            self._sign(connection, head)

    def _begin_run(self, connection: Connection, run: RunFacts, last: ChainHead) -> ChainHead:
        if last.seq > last.signed_seq:
            self._sign(connection, last)
        header = RunHeader(
            box=self._box,
            camera=self._camera,
            run=run.run_id,
            codec=run.codec,
            parameters=run.parameters,
            started_us=run.started_us,
            time_quality=run.time_quality,
            previous=last.link,
            stream=UNSET if self._stream == MAIN else self._stream,
        )
        connection.execute(
            "INSERT OR REPLACE INTO chain_runs (run_id, header) VALUES (?,?)",
            (run.run_id, msgspec.json.encode(header)),
        )
        return ChainHead(run.run_id, link=header.link(), signed_media_us=run.started_us)

    def _sign(self, connection: Connection, head: ChainHead) -> None:
        statement = HeadStatement(
            box=self._box,
            camera=self._camera,
            run=head.run_id,
            seq=head.seq,
            link=head.link,
            media_us=head.media_us,
            signed_us=round(self._clock.utc_now().timestamp() * 1_000_000),
            clock_quality=str(self._clock.quality()),
        )
        try:
            signed = sign_head(self._key(), statement)
        except StorageError as error:  # the next segment tries again: recording never waits for it
            self._log.error("head not signed", code=error.code, detail=error.message)
            return
        connection.execute(
            "INSERT OR REPLACE INTO signed_heads (run_id, seq, signed_us, clock_quality, "
            "key_id, signature)"
            " VALUES (?,?,?,?,?,?)",
            (
                head.run_id,
                head.seq,
                signed.head.signed_us,
                signed.head.clock_quality,
                signed.key_id,
                signed.signature,
            ),
        )
        now = replace(head, signed_seq=head.seq, signed_media_us=head.media_us)
        _write_head(connection, self._stream, now)


def read_head(connection: Connection, stream: str = MAIN) -> ChainHead:
    """Return where a stream's chain stands; what the center should hold an anchor of."""
    row = connection.execute(
        "SELECT run_id, seq, link, media_us, signed_seq, signed_media_us"  # noqa: S608
        f" FROM {_HEAD_TABLES[stream]}"
    ).fetchone()
    return ChainHead() if row is None else ChainHead(*row)


@dataclass(frozen=True, slots=True)
class ChainedSegment:
    """A segment's GOPs as they were chained."""

    segment_id: int
    run_id: int
    link_before: bytes
    gops: tuple[Gop, ...]


def chained_segment(connection: Connection, segment_id: int) -> ChainedSegment | None:
    """Return what the chain holds of a segment, None while it is open or was never chained."""
    row = connection.execute(
        "SELECT * FROM segment_gops WHERE segment_id = ?", (segment_id,)
    ).fetchone()
    return None if row is None else _segment(row)


def keep_tails(connection: Connection, segment_id: int, tails: list[bytes]) -> None:
    """Keep the tail digests of a segment's GOPs, which is about to lose its other frames."""
    connection.execute(
        "INSERT OR IGNORE INTO thinned_gops (segment_id, tails) VALUES (?,?)",
        (segment_id, b"".join(tails)),
    )


def tails(connection: Connection, segment_id: int) -> tuple[bytes, ...]:
    """Return the tail digests of a thinned segment's GOPs; none of one that is whole."""
    row = connection.execute(
        "SELECT tails FROM thinned_gops WHERE segment_id = ?", (segment_id,)
    ).fetchone()
    if row is None:
        return ()
    return tuple(row[0][at : at + DIGEST_BYTES] for at in range(0, len(row[0]), DIGEST_BYTES))


def following(connection: Connection, run_id: int, seq: int) -> Iterator[Gop]:
    """Yield the GOPs of a run behind GOP `seq`, as far as the chain has no hole."""
    for row in connection.execute(
        "SELECT * FROM segment_gops WHERE run_id = ?1 AND first_seq >= (SELECT max(first_seq)"
        " FROM segment_gops WHERE run_id = ?1 AND first_seq <= ?2) ORDER BY first_seq",
        (run_id, seq),
    ):
        for gop in _segment(row).gops:
            if gop.seq <= seq:
                continue
            if gop.seq != seq + 1:
                return
            seq = gop.seq
            yield gop


def run_header(connection: Connection, run_id: int) -> RunHeader | None:
    """Return how a run's chain begins."""
    row = connection.execute("SELECT header FROM chain_runs WHERE run_id=?", (run_id,)).fetchone()
    return None if row is None else msgspec.json.decode(row[0], type=RunHeader)


@dataclass(frozen=True, slots=True)
class StoredSignature:
    """A signed head without its link, which follows from the GOPs."""

    seq: int
    signed_us: int
    clock_quality: str
    key_id: str
    signature: bytes

    def of(self, header: RunHeader, gop: Gop, head_link: bytes) -> SignedHead:
        """Return the statement that was signed after `gop`."""
        head = HeadStatement(
            box=header.box,
            camera=header.camera,
            run=header.run,
            seq=self.seq,
            link=head_link,
            media_us=gop.start_us,
            signed_us=self.signed_us,
            clock_quality=self.clock_quality,
        )
        return SignedHead(head=head, key_id=self.key_id, signature=self.signature)


def signatures(connection: Connection, run_id: int, from_seq: int) -> list[StoredSignature]:
    """Return a run's signed heads from GOP `from_seq` on, oldest first."""
    rows = connection.execute(
        "SELECT seq, signed_us, clock_quality, key_id, signature FROM signed_heads"
        " WHERE run_id = ? AND seq >= ? ORDER BY seq",
        (run_id, from_seq),
    )
    return [StoredSignature(*row) for row in rows]


def heads_since(
    connection: Connection, run_id: int, seq: int, limit: int, stream: str = MAIN
) -> list[HeadMark]:
    """Return a stream's heads signed behind GOP `seq` of `run_id`, oldest first, for the center."""
    rows = connection.execute(
        "SELECT run_id, seq FROM signed_heads JOIN chain_runs USING (run_id)"
        " WHERE (run_id, seq) > (?, ?)"
        " AND coalesce(json_extract(CAST(header AS TEXT), '$.stream'), 'main') = ?"
        " ORDER BY run_id, seq LIMIT ?",
        (run_id, seq, stream, limit),
    ).fetchall()
    marks = (_mark(connection, *row) for row in rows)
    return [mark for mark in marks if mark is not None]


def _mark(connection: Connection, run_id: int, seq: int) -> HeadMark | None:
    row = connection.execute(
        "SELECT * FROM segment_gops WHERE run_id = ? AND first_seq <= ?"
        " ORDER BY first_seq DESC LIMIT 1",
        (run_id, seq),
    ).fetchone()
    if row is None:  # deleted meanwhile
        return None
    segment = _segment(row)
    at = segment.link_before
    for gop in segment.gops:
        at = link(at, run_id, gop)
        if gop.seq == seq:
            return HeadMark(run_id, seq, gop.start_us, b64(at))
    return None


def _segment(row: Row) -> ChainedSegment:
    segment_id, run_id, first_seq, start_us, origin, link_before, gops = row
    unpacked = unpack(gops, first_seq, start_us, Origin(origin))
    return ChainedSegment(segment_id, run_id, link_before, tuple(unpacked))


def _write_head(connection: Connection, stream: str, head: ChainHead) -> None:
    connection.execute(
        f"INSERT OR REPLACE INTO {_HEAD_TABLES[stream]}"  # noqa: S608
        " (one, run_id, seq, link, media_us, signed_seq, signed_media_us)"
        " VALUES (1, ?, ?, ?, ?, ?, ?)",
        (
            head.run_id,
            head.seq,
            head.link,
            head.media_us,
            head.signed_seq,
            head.signed_media_us,
        ),
    )
