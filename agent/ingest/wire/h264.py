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
    def _unpack(self, payload: memoryview) -> None:
        head = payload[0]
        kind = head & 0x1F
        if kind == _FU_A:
            self._fragment(payload, head)
        elif kind in _KNOWN:
            self._in_fragments = False
            self._nal(payload)
        elif kind == _STAP_A:
            self._in_fragments = False
            self._several(payload)
        else:
            raise StrangerError

    def _fragment(self, payload: memoryview, head: int) -> None:
        state = payload[1]
        if state & 0x80:
            if self._in_fragments:
                self._is_damaged = True  # the one before has no end
            self._in_fragments = True
            self._nal(bytes((head & 0xE0 | state & 0x1F,)), payload[2:])
        elif self._in_fragments:
            self._more(payload[2:])
        else:
            raise DamagedError
        if state & 0x40:
            self._in_fragments = False

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
