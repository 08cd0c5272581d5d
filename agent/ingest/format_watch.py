"""Notices that a camera changed its encoder while it streams: what follows is another video."""

from __future__ import annotations

from av.packet import Packet
from av.video.stream import VideoStream

from agent.ingest import nal_units, refusals

_PEEK_BYTES = 6  # a start code and the header of the first NAL unit
_MOST_FAMILIAR = 64
_MOST_STRANGERS = 5  # so many more than packets that are well: it is another codec


class FormatWatch:
    """Holds one run to the codec and the parameter sets it began with."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._sets = b""
        self._strangers = 0
        self._familiar: set[bytes] = set()  # beginnings known to be well: nearly all packets

    def restart(self) -> None:
        """A new run may have other parameters."""
        self._sets, self._strangers = b"", 0

    def check(self, packet: Packet[VideoStream]) -> None:
        """Raise `CameraError` camera.codec_changed when `packet` is of another video."""
        view = memoryview(packet)
        if (head := bytes(view[:_PEEK_BYTES])) in self._familiar:
            self._strangers -= self._strangers > 0
        else:
            self._look(head)
        sets = nal_units.sequence_sets(view, self._codec) if packet.is_keyframe else b""
        if self._strangers >= _MOST_STRANGERS or (sets and self._sets and sets != self._sets):
            raise refusals.other_format()
        self._sets = sets or self._sets

    def _look(self, head: bytes) -> None:
        if not nal_units.is_of(head, self._codec):
            self._strangers += 1
            return
        self._strangers = max(0, self._strangers - 1)
        if len(self._familiar) < _MOST_FAMILIAR:
            self._familiar.add(head)
