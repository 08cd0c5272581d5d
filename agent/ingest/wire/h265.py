"""H.265 in RTP (RFC 7798): single NAL units, AP and FU; types of ITU-T H.265 table 7-1."""

from __future__ import annotations

from agent.ingest.nal_units import KNOWN_KINDS
from agent.ingest.wire.pictures import DamagedError, Pictures, StrangerError

_LAST_SLICE = 31
_KEYS = range(16, 24)  # pictures a decoder can begin with
_KNOWN = KNOWN_KINDS["hevc"]
_BEFORE_SLICES = frozenset({32, 33, 34, 35, 39, *range(41, 45), *range(48, 56)})  # 7.4.2.4.4
_AP, _FU = 48, 49


class H265Pictures(Pictures):
    FRAGMENT_AT, FRAGMENT_SHIFT = 15, 8

    def _unpack(self, payload: memoryview) -> None:
        kind = payload[0] >> 1 & 0x3F
        if kind == _FU:
            state = payload[2]
            whole = bytes((payload[0] & 0x81 | (state & 0x3F) << 1, payload[1]))
            self._fragment(bytes(payload[:2]), state, whole, payload[3:])
        elif kind == _AP:
            self._several(payload)
        elif kind in _KNOWN:
            self._nal(payload)
        else:
            raise StrangerError

    def _several(self, payload: memoryview) -> None:
        at = 2
        while at < len(payload):
            size = payload[at] << 8 | payload[at + 1]
            at += 2
            if size < 2 or at + size > len(payload):
                raise DamagedError
            self._nal(payload[at : at + size])
            at += size

    def _begins_picture(self, nal: memoryview) -> bool:
        kind = nal[0] >> 1 & 0x3F
        if kind <= _LAST_SLICE:
            return len(nal) > 2 and bool(nal[2] & 0x80)  # first_slice_segment_in_pic_flag
        return kind in _BEFORE_SLICES

    def _note(self, nal: memoryview) -> None:
        kind = nal[0] >> 1 & 0x3F
        if kind <= _LAST_SLICE:
            self._has_slice = True
            self._is_key |= kind in _KEYS
