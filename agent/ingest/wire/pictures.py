"""RTP packets of one video track become pictures: access units with start codes (Annex B).

RFC 3550 headers here; what is inside a payload is the codec's (`h264.py`, `h265.py`). A picture
ends with the marker bit, with another time stamp, or where the next one's first NAL unit begins,
for cameras forget any of them. A picture of which anything is missing is left out and counted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from agent.ingest import refusals
from agent.ingest.wire.strange import NotUnderstood

MOST_PICTURE_BYTES = 8 * 1024 * 1024  # a key picture of 4K has about two
START_CODE = b"\x00\x00\x00\x01"
_HEADER_BYTES = 12
_ODD = 0x3F  # padding, extension, sources: headers that are not just twelve bytes
_WRAP = 1 << 32
# Time stamps that go back a little, again and again, with no packet missing: pictures are sent in
# another order than they are shown (B-frames).
_REORDER_TICKS, _MOST_BACKWARD = 90_000, 2


_MOST_STRANGERS = 5  # so many more than packets that are well: it is another codec


class DamagedError(ValueError):
    """A payload that breaks its format's rules, or lacks its beginning."""


class StrangerError(DamagedError):
    """A payload of a kind that no camera's encoder makes."""


@dataclass(slots=True)
class Picture:
    """One access unit. `ticks` of 90 kHz from the stream's first picture on, never wrapping."""

    data: bytearray
    ticks: int
    is_key: bool


class Pictures(ABC):
    """Puts one track's packets together; `ready` holds what is whole."""

    def __init__(self, payload_type: int) -> None:
        self._payload_type = payload_type
        self.ready: list[Picture] = []
        self.damaged_total = 0
        self._data = bytearray()
        self._has_slice = self._is_key = self._is_damaged = False
        self._strangers = 0
        self._next_seq: int | None = None
        self._stamp: int | None = None
        self._ticks = self._last_ticks = self._backward = 0
        self._marked = False  # the picture of the present time stamp was ended by its marker
        self._trusts_marker = True
        self._in_fragments = False

    def take(self, packet: memoryview) -> None:
        """Take one RTP packet. Raises `NotUnderstood`, `CameraError` camera.codec_changed."""
        if len(packet) <= _HEADER_BYTES or packet[0] >> 6 != 2:
            return
        second = packet[1]
        if second & 0x7F != self._payload_type:
            return
        seq = packet[2] << 8 | packet[3]
        if seq != self._next_seq:
            if self._next_seq is not None and (self._next_seq - seq) & 0xFFFF == 1:
                return  # the last one again
            self._missed()
        self._next_seq = (seq + 1) & 0xFFFF
        stamp = int.from_bytes(packet[4:8], "big")
        if stamp != self._stamp:
            self._end()
            self._begin(stamp)
        try:
            self._unpack(packet[_HEADER_BYTES:] if not packet[0] & _ODD else _payload(packet))
            self._strangers -= self._strangers > 0
        except (DamagedError, IndexError) as error:
            self._is_damaged, self._in_fragments = True, False
            if isinstance(error, StrangerError):
                self._count_stranger()
        if second & 0x80 and self._trusts_marker and (self._has_slice or self._is_damaged):
            self._end()
            self._marked = True

    def lose(self) -> None:
        """Something between the packets was lost: the picture it belonged to is."""
        self._missed()
        self._next_seq = None

    @abstractmethod
    def _unpack(self, payload: memoryview) -> None:
        """Take an RTP payload apart. Raises `DamagedError`, `IndexError`."""

    @abstractmethod
    def _begins_picture(self, nal: memoryview) -> bool:
        """Whether this NAL unit can only be of a new picture, if one has its slices already."""

    @abstractmethod
    def _note(self, nal: memoryview) -> None:
        """Set `_has_slice` and `_is_key` as this NAL unit (or its beginning) tells."""

    def _nal(self, *pieces: bytes | memoryview) -> None:
        """Begin a NAL unit with these bytes; further ones are added with `_more`."""
        head = memoryview(b"".join(pieces)) if len(pieces) > 1 else memoryview(pieces[0])
        begins = self._begins_picture(head)
        if begins and self._has_slice:
            self._end()
        is_begun = self._has_slice
        self._note(head)
        if self._has_slice and not is_begun and not begins:
            self._is_damaged = True  # this is not the picture's first slice
            self._trusts_marker &= not self._marked  # which ended the picture too early
        self._data += START_CODE
        self._more(head)

    def _more(self, piece: memoryview) -> None:
        if len(self._data) + len(piece) > MOST_PICTURE_BYTES:
            self._data.clear()
            raise DamagedError
        if not self._is_damaged:
            self._data += piece

    def _missed(self) -> None:
        """Packets are missing: what is begun will not be whole."""
        self._in_fragments, self._backward = False, 0
        if self._data:
            self._is_damaged = True

    def _begin(self, stamp: int) -> None:
        if self._stamp is not None:
            step = (stamp - self._stamp + _WRAP // 2) % _WRAP - _WRAP // 2
            self._ticks += step
        self._stamp, self._marked = stamp, False

    def _end(self) -> None:
        """The picture is over: hand it on when it is whole."""
        data, was_damaged = self._data, self._is_damaged
        if not was_damaged and not self._has_slice:
            return  # sets or messages alone belong to the picture behind them
        self._data = bytearray()
        if was_damaged:
            self.damaged_total += 1
        else:
            self._judge_order()
            self.ready.append(Picture(data, self._ticks, self._is_key))
        self._has_slice = self._is_key = self._is_damaged = self._in_fragments = False

    def _count_stranger(self) -> None:
        self._strangers += 1
        if self._strangers >= _MOST_STRANGERS:
            raise refusals.other_format()

    def _judge_order(self) -> None:
        step = self._ticks - self._last_ticks
        self._last_ticks = self._ticks
        if -_REORDER_TICKS < step < 0:
            self._backward += 1
            if self._backward > _MOST_BACKWARD:
                raise NotUnderstood("pictures in another order than they are shown")


def _payload(packet: memoryview) -> memoryview:
    """Return what is behind a header with sources or an extension, without padding."""
    first, start, end = packet[0], _HEADER_BYTES, len(packet)
    start += 4 * (first & 0x0F)
    if first & 0x10:
        start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
    if first & 0x20:
        end -= packet[-1]
    if start >= end:
        raise DamagedError
    return packet[start:end]
