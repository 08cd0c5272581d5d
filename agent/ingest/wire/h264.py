"""H.264 in RTP (RFC 6184): single NAL units, STAP-A and FU-A; types of ITU-T H.264 table 7-1."""

from __future__ import annotations

from agent.ingest.nal_units import KNOWN_KINDS
from agent.ingest.wire.pictures import DamagedError, Pictures, StrangerError

_IDR, _SEI = 5, 6
_SLICES = frozenset({1, 5})
_KNOWN = KNOWN_KINDS["h264"] | {14, 15, 19, 20}  # scalable ones, kept byte for byte
_BEFORE_SLICES = frozenset({6, 7, 8, 9, 14, 15, 16, 17, 18})  # 7.4.1.2.3
_STAP_A, _FU_A = 24, 28
_RECOVERY_POINT = 6  # D.1.8: from here on a decoder shows whole pictures


class H264Pictures(Pictures):
    FRAGMENT_AT, FRAGMENT_SHIFT = 14, 16

    def _unpack(self, payload: memoryview) -> None:
        head = payload[0]
        kind = head & 0x1F
        if kind == _FU_A:
            state = payload[1]
            whole = bytes((head & 0xE0 | state & 0x1F,))
            self._fragment(bytes((head,)), state, whole, payload[2:])
        elif kind in _KNOWN:
            self._nal(payload)
        elif kind == _STAP_A:
            self._several(payload)
        else:
            raise StrangerError

    def _several(self, payload: memoryview) -> None:
        at = 1
        while at < len(payload):
            size = payload[at] << 8 | payload[at + 1]
            at += 2
            if not size or at + size > len(payload):
                raise DamagedError
            self._nal(payload[at : at + size])
            at += size

    def _begins_picture(self, nal: memoryview) -> bool:
        kind = nal[0] & 0x1F
        if kind in _SLICES:
            return len(nal) > 1 and bool(nal[1] & 0x80)  # first_mb_in_slice, ue(v), is 0
        return kind in _BEFORE_SLICES

    def _note(self, nal: memoryview) -> None:
        kind = nal[0] & 0x1F
        if kind in _SLICES:
            self._has_slice = True
            self._is_key |= kind == _IDR
        elif kind == _SEI and len(nal) > 1 and nal[1] == _RECOVERY_POINT:
            self._is_key = True
