"""What the disk gives of a time range, segment by segment, and what it does not.

All who read recorded video for a person read it through here: a file that is gone, torn or garbled
ends nobody's clip, film or showing, and is a hole that is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from agent.clips.garbled import GARBLED
from agent.clips.holes import DELETED, UNREADABLE, Hole, joined, of_source
from agent.clips.sound import ClipSource
from agent.core.errors import StorageError

if TYPE_CHECKING:
    from agent.clips.export import Dated

_OPEN, _CLOSED, _THINNED = ".open.mp4", ".mp4", "-k.mp4"
_STAGED, _WRITTEN = "staged", "video"
_ASKED = 3  # files of a run whose description is read: most of them are right


@dataclass(frozen=True, slots=True)
class Opened:
    """A segment's file while it is read; its packets must not outlive it.

    `left_out` are the seconds, from its beginning, of packets behind one whose time is garbled.
    """

    source: ClipSource
    container: InputContainer
    stream: VideoStream
    left_out: list[float] = field(default_factory=list)


class Given:
    """Opens the segments of [since, until) one after the other and keeps count of what is missing.

    Who reads says of each packet whether it was of use: `gave`, or `lost`.
    """

    def __init__(self, sources: Sequence[ClipSource], since: datetime, until: datetime) -> None:
        self._sources, self._since, self._until = sources, since, until
        self._holes: list[Hole] = []
        self._descriptions: dict[int, bytes] = {}
        self._unopened = 0
        self._reached: datetime | None = None
        self._lost_from: datetime | None = None
        self._lost_to: datetime | None = None

    @property
    def holes(self) -> tuple[Hole, ...]:
        """What the disk did not give so far, oldest first; gaps in the recording are others."""
        return joined(self._holes)

    @contextmanager
    def opened(self, source: ClipSource) -> Iterator[Opened | None]:
        """Open one segment; None when it can't be read, which is noted as what is missing is."""
        self._reached = self._lost_from = self._lost_to = None
        cause = UNREADABLE
        source = _present(source)
        opened = self._open(source)
        if opened is None:
            self._unopened += 1
            cause = UNREADABLE if source.path.exists() else DELETED
            yield None
        else:
            with opened.container:
                yield opened
                self._note_left_out(opened)
        self._end_loss(source.end_at or self._lost_to)
        is_part = source.is_thinned and self._reached is not None
        end_at = None if is_part else source.end_at  # how far a thinned one should go is not known
        spans = source.start_at, end_at, self._reached, self._since, self._until
        hole = of_source(*spans, cause)
        self._holes += [hole] if hole else []

    def seen(self, packets: Iterator[Dated]) -> Iterator[Dated]:
        """Pass the open segment's packets on: those beside the range tell how far it was read.

        Between two pictures of a camera that is slow, or stood still, nothing is missing.
        """
        for one in packets:
            if one.at < self._since:
                self._reached = one.until
            elif one.at >= self._until and self._reached is not None:
                self._reached = self._until
            yield one

    def gave(self, at: datetime, until: datetime) -> None:
        """A packet of the open segment was of use; it is shown up to `until`."""
        self._end_loss(at)
        self._reached = until

    def lost(self, at: datetime) -> None:
        """A packet of the open segment was of none, as all that follow up to one that is."""
        self._lost_from, self._lost_to = self._lost_from or at, at

    def nothing(self) -> StorageError:
        """Return why nothing was given: clip.unreadable or clip.nothing_recorded."""
        if self._unopened or self._holes:
            return StorageError(
                "clip.unreadable",
                "The recorded files of this time can't be read.",
                hint="They may just have been deleted; else check the disk.",
            )
        return StorageError(
            "clip.nothing_recorded",
            f"Nothing was recorded from {self._since:%Y-%m-%d %H:%M:%S}"
            f" to {self._until:%H:%M:%S} UTC.",
            hint="Look at the timeline for gaps and ask for a range inside a recorded part.",
        )

    def _note_left_out(self, opened: Opened) -> None:
        if opened.left_out:
            first, last = (max(0.0, how(opened.left_out)) for how in (min, max))
            begin = opened.source.start_at
            since = max(begin + timedelta(seconds=first), self._since)
            until = min(begin + timedelta(seconds=last), self._until)
            self._holes += [Hole(since, until, UNREADABLE)] if since < until else []

    def _end_loss(self, at: datetime | None) -> None:
        """Note the loss that ends at `at`: however short, a picture is known to be missing."""
        begin, self._lost_from = self._lost_from, None
        if begin is None or at is None:
            return
        hole = Hole(max(begin, self._since), min(at, self._until), UNREADABLE)
        self._reached = at if self._reached is None else max(self._reached, at)
        self._holes += [hole] if hole.since < hole.until else []

    def _open(self, source: ClipSource) -> Opened | None:
        try:
            container = av.open(source.path)
        except GARBLED:  # deleted meanwhile, or open and without a whole fragment
            return None
        stream, told = _described(container)
        if stream is None or told != self._description(source, told):
            container.close()
            return None
        return Opened(source, container, stream)

    def _description(self, source: ClipSource, told: bytes) -> bytes:
        """Return what describes the video of a source's run: it changes in no run."""
        if source.run_id is None:
            return told
        if source.run_id not in self._descriptions:
            found = [told]
            for other in self._sources:
                if len(found) == _ASKED:
                    break
                if other.run_id == source.run_id and other.start_at != source.start_at:
                    found += _description_in(_present(other).path)
            self._descriptions[source.run_id] = Counter(found).most_common(1)[0][0]
        return self._descriptions[source.run_id]


def _present(source: ClipSource) -> ClipSource:
    """Return it as it is now, perhaps long after the index was asked.

    It may have been closed; written to the disk, if it waited in memory for an event; thinned.
    """
    if source.path.exists():
        return source
    *before, base, day, hour, _ = ("", "", "", *source.path.parts)
    stem = source.path.name.removesuffix(_OPEN).removesuffix(_CLOSED)
    closed = source.path.with_name(stem + _CLOSED)
    written = Path(*before, _WRITTEN if base == _STAGED else base, day, hour, closed.name)
    thinned = written.with_name(stem + _THINNED)
    for later in (closed, written, thinned):
        if later.exists():
            return replace(source, path=later, is_thinned=later == thinned)
    return source


def _description_in(path: Path) -> list[bytes]:
    try:
        with av.open(path) as container:
            stream, told = _described(container)
            return [] if stream is None else [told]
    except GARBLED:
        return []


def _described(container: InputContainer) -> tuple[VideoStream | None, bytes]:
    """Return a file's video stream and what it says its video is; no stream when it says none."""
    try:
        stream = next(iter(container.streams.video), None)
        if stream is None:
            return None, b""
        context = stream.codec_context
        return stream, f"{context.name} {stream.time_base} ".encode() + (context.extradata or b"")
    except GARBLED:  # it names a codec that there is not
        return None, b""
