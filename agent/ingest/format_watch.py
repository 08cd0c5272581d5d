"""Notices that a camera changed its encoder while it streams: what follows is another video."""

from __future__ import annotations

from av.packet import Packet
from av.video.stream import VideoStream

from agent.core.errors import CameraError
from agent.ingest import nal_units

_PEEK_BYTES = 16
_MOST_STRANGERS = 5  # so many more than packets that are well: it is another codec


class FormatWatch:
    """Holds one run to the codec and the parameter sets it began with."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._sets = b""
        self._strangers = 0

    def restart(self) -> None:
        """A new run may have other parameters."""
        self._sets, self._strangers = b"", 0

    def check(self, packet: Packet[VideoStream]) -> None:
        """Raise `CameraError` camera.codec_changed when `packet` is of another video."""
        view = memoryview(packet)
        if nal_units.is_of(bytes(view[:_PEEK_BYTES]), self._codec):
            self._strangers = max(0, self._strangers - 1)
        else:
            self._strangers += 1
        sets = nal_units.sequence_sets(view, self._codec) if packet.is_keyframe else b""
        if self._strangers >= _MOST_STRANGERS or (sets and self._sets and sets != self._sets):
            raise CameraError(
                "camera.codec_changed",
                "The camera changed its video format.",
                hint="Nothing: recording goes on in the new format.",
                retryable=True,
            )
        self._sets = sets or self._sets
