"""One stream at the relay: its description, its present GOP as RTP, its players."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field

_H264_KEY, _HEVC_KEY = {5, 7, 8}, {19, 20, 21, 32, 33, 34}
_H264_FU, _HEVC_FU = 28, 49
_H264_AGGREGATE, _HEVC_AGGREGATE = 24, 48


@dataclass(slots=True)
class Publication:
    """What a box pushes under one name. Times are monotonic, None until they come."""

    name: str
    sdp: str
    monotonic_s: Callable[[], float]
    announced_mono_s: float = 0.0
    first_frame_mono_s: float | None = None
    last_packet_mono_s: float | None = None
    packets_total: int = 0
    pictures_total: int = 0
    bytes_total: int = 0
    is_live: bool = True
    players: set[asyncio.Transport] = field(default_factory=set)
    gop: list[bytes] = field(default_factory=list)
    _was_key: bool = False

    def frame(self, frame: bytes) -> None:
        """Take an interleaved frame: media on channel 0, reports on the others."""
        if frame[1] != 0 or len(frame) < 18:
            return
        now_s = self.monotonic_s()
        self.packets_total += 1
        self.bytes_total += len(frame)
        self.pictures_total += bool(frame[5] & 0x80)
        self.last_packet_mono_s = now_s
        is_key = self._is_key(frame[16:])
        if is_key and not self._was_key:
            self.gop.clear()
        self._was_key = is_key
        if self.gop or is_key:
            self.gop.append(frame)
            if self.first_frame_mono_s is None and frame[5] & 0x80:
                self.first_frame_mono_s = now_s  # its marker: the key frame is whole
        for player in self.players:
            player.write(frame)

    def _is_key(self, payload: bytes) -> bool:
        if "JPEG/90000" in self.sdp:
            return payload[1:4] == b"\0\0\0"  # the first part of a picture
        if re.search(r"H26[45]/90000", self.sdp, re.IGNORECASE) is None:
            return False
        if "H264" in self.sdp:
            kind = payload[0] & 31
            if kind == _H264_FU:
                kind = payload[1] & 31
            elif kind == _H264_AGGREGATE:
                kind = payload[3] & 31
            return kind in _H264_KEY
        kind = (payload[0] >> 1) & 63
        if kind == _HEVC_FU:
            kind = payload[2] & 63
        elif kind == _HEVC_AGGREGATE:
            kind = (payload[4] >> 1) & 63
        return kind in _HEVC_KEY
