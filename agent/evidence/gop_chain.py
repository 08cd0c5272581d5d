"""Chains every GOP of one camera as it is recorded. In the camera's worker, the recorder's thread.

Hangs on the recorder as an observer: frames are hashed when they are stored; links, rows and
signatures are made inside the index transaction that closes the segment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from typing import Protocol

from av.packet import Packet
from av.video.stream import VideoStream

from agent.core import log
from agent.core.clock import Clock
from agent.evidence.chain_index import (
    MAIN,
    ChainWriter,
    RunFacts,
    chained_segment,
    keep_tails,
    run_header,
)
from agent.evidence.frames import GopHash, length_bytes, parameter_digest, units_or_all
from agent.evidence.gop import Gop, Origin
from agent.evidence.key_store import KeyRing
from agent.evidence.segment_gops import gops_of_file, parameters_of_file, tails_of_file

_MOST_PENDING = 64  # while the index refuses, a run may end every few seconds


class _Moment(Protocol):
    @property
    def utc_us(self) -> int: ...
    @property
    def quality(self) -> str: ...


class StartOfRun(Protocol):
    """What is taken of the recorder's `RunStart`."""

    @property
    def codec(self) -> str: ...
    @property
    def at(self) -> _Moment: ...


class EndOfSegment(Protocol):
    """What is taken of the recorder's `SegmentEnd`."""

    @property
    def segment_id(self) -> int: ...
    @property
    def path(self) -> str: ...
    @property
    def frames(self) -> int: ...


@dataclass(slots=True)
class _Run:
    run_id: int
    codec: str
    started_us: int
    time_quality: str
    length_bytes: int = 0
    parameters: bytes | None = None
    is_over: bool = False

    @property
    def facts(self) -> RunFacts:
        return RunFacts(
            self.run_id, self.codec, self.parameters or b"", self.started_us, self.time_quality
        )


@dataclass(slots=True)
class _Segment:
    """The GOPs of one segment so far; their links come when it closes."""

    run: _Run
    start_us: int
    gops: list[Gop] = field(default_factory=list)
    hashing: GopHash | None = None
    gop_start_us: int = 0
    base_dts: int | None = None
    last_dts: int = 0

    def place(self, dts: int, pts: int) -> tuple[int, int]:
        """Return the times the segment file gives a packet: each later than the one before."""
        if self.base_dts is None:
            self.base_dts = dts
        else:
            self.last_dts = max(dts - self.base_dts, self.last_dts + 1)
        return self.last_dts, max(pts - self.base_dts, self.last_dts)

    def end_gop(self) -> None:
        if (made := self.hashing) is not None:
            start_us = self.gop_start_us
            self.gops.append(Gop(0, start_us, made.frames, made.size_bytes, made.digest()))
            self.hashing = None


class GopChain:
    """One camera's chain; an observer of its recorder. `folder` holds its `index.db`."""

    def __init__(self, folder: Path, writer: ChainWriter) -> None:
        self._folder, self._writer = folder, writer
        self._run: _Run | None = None
        self._segment: _Segment | None = None
        self._pending: dict[int, _Segment] = {}
        self._log = log.get("evidence.chain")

    def run_started(self, run_id: int, start: StartOfRun) -> None:
        """Take what the chain of a run begins with."""
        self._run = _Run(run_id, start.codec, start.at.utc_us, str(start.at.quality))
        self._segment = None

    def segment_opened(self, segment_id: int, start_at: datetime) -> None:
        """Collect the GOPs of the next segment."""
        if self._run is None:
            return
        self._segment = _Segment(self._run, _micros(start_at))
        self._pending[segment_id] = self._segment
        while len(self._pending) > _MOST_PENDING:
            del self._pending[min(self._pending)]

    def packet_stored(self, packet: Packet[VideoStream], at: datetime) -> None:
        """Hash one frame as the segment file will hold it."""
        segment = self._segment
        dts = packet.dts
        if segment is None or dts is None:
            return
        run, data = segment.run, memoryview(packet)
        if run.parameters is None:
            extradata = bytes(packet.stream.codec_context.extradata or b"")
            run.length_bytes = length_bytes(run.codec, extradata)
            units = units_or_all(data, run.length_bytes)
            run.parameters = parameter_digest(run.codec, extradata, units)
        if packet.is_keyframe or segment.hashing is None:
            segment.end_gop()
            assert packet.time_base is not None  # noqa: S101 - set by the demuxer
            segment.hashing = GopHash(run.codec, run.parameters, packet.time_base)
            segment.gop_start_us = _micros(at)
        pts = packet.pts
        times = segment.place(dts, dts if pts is None else pts)
        segment.hashing.add_sample(data, run.length_bytes, *times, is_key=packet.is_keyframe)

    def segment_closing(self, connection: Connection, end: EndOfSegment) -> None:
        """Chain the segment's GOPs and sign the head when a minute is over or the run is."""
        segment = self._pending.get(end.segment_id)
        if segment is None or not end.frames:
            return
        segment.end_gop()
        if sum(gop.frames for gop in segment.gops) == end.frames:
            self._writer.append(
                connection, segment.run.facts, end.segment_id, segment.gops, Origin.LIVE
            )
        else:  # the disk kept less than it was given
            self._chain_file(connection, self._folder / end.path, segment.start_us, end)
        self._writer.sign_if_due(connection, at_once=segment.run.is_over)

    def run_ended(self, cause: str) -> None:  # noqa: ARG002 - the observer's interface
        """The run is over; the end of its last segment is told after this."""
        if self._run is not None:
            self._run.is_over = True
        self._run = self._segment = None

    def segment_recovered(
        self, connection: Connection, path: Path, start_at: datetime, end: EndOfSegment
    ) -> None:
        """Chain what a crash left of a segment: hashed from its file, and marked so."""
        self._chain_file(connection, path, _micros(start_at), end)
        self._writer.sign_if_due(connection, at_once=True)

    def segment_thinned(self, connection: Connection, segment_id: int, old: Path) -> None:
        """Keep what proves the key frames of a segment, before the rest of `old` is deleted.

        Call it in the transaction that changes over to the thinned file.
        """
        segment = chained_segment(connection, segment_id)
        header = run_header(connection, segment.run_id) if segment else None
        if header is not None:
            keep_tails(connection, segment_id, tails_of_file(old, header.codec))

    def _chain_file(
        self, connection: Connection, path: Path, start_us: int, end: EndOfSegment
    ) -> None:
        row = connection.execute(
            "SELECT run_id, codec, started_utc_us, runs.time_quality FROM segments"
            " JOIN runs USING (run_id) WHERE segment_id = ?",
            (end.segment_id,),
        ).fetchone()
        if row is None:
            return
        run_id, codec, started_us, quality = row
        parameters = parameters_of_file(path, codec)
        gops = gops_of_file(path, codec, parameters, start_us)
        facts = RunFacts(run_id, codec, parameters, started_us, quality)
        self._writer.append(connection, facts, end.segment_id, gops, Origin.RECOVERED)
        self._log.warning("chained from the file", path=path.name, gops=len(gops))


def open_chain(
    data_dir: Path, folder: Path, box: str, camera: str, clock: Clock, stream: str = MAIN
) -> GopChain:
    """Return a stream's chain, whose camera's `index.db` is in `folder`; makes the box's key once.

    Raises `StorageError` evidence.key: recording then goes on without evidence.
    """
    ring = KeyRing(data_dir)
    ring.key()
    return GopChain(folder, ChainWriter(box, camera, ring.key, clock, stream))


def _micros(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)
