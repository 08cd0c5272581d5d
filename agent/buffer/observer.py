"""What others may hang on a recording: evidence, ledger. Called in the recorder's own thread.

Rows an observer wants to keep go into `segment_closing`: it runs inside the index transaction that
closes the segment, so a segment and what is known of it are committed together or not at all.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from typing import Protocol

from av.packet import Packet
from av.video.stream import VideoStream

from agent.buffer.index import RunStart, SegmentEnd


class RecordingObserver(Protocol):
    """All times are UTC as the recording carries them."""

    def run_started(self, run_id: int, start: RunStart) -> None:
        """A run is in the index; its first segment is about to be opened."""
        ...

    def segment_opened(self, segment_id: int, start_at: datetime) -> None: ...

    def packet_stored(self, packet: Packet[VideoStream], at: datetime) -> None:
        """One packet is about to be written; its own times are still the camera's."""
        ...

    def segment_closing(self, connection: Connection, end: SegmentEnd) -> None:
        """The segment is finished on the disk; raising undoes the whole transaction."""
        ...

    def run_ended(self, cause: str) -> None: ...

    def segment_recovered(
        self, connection: Connection, path: Path, start_at: datetime, end: SegmentEnd
    ) -> None:
        """A crash left this segment open; what the file holds is noted now, in one transaction."""
        ...

    def segment_thinned(self, connection: Connection, segment_id: int, old: Path) -> None:
        """Only the key frames of `old` are kept from now on; it is there until this commits."""
        ...
