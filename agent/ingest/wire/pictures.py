"""RTP packets of one video track become pictures: access units as MP4 stores them.

Each NAL unit with its length before it: nobody behind has to look for start codes.

RFC 3550 headers here; what is inside a payload is the codec's (`h264.py`, `h265.py`). A picture
ends with the marker bit, with another time stamp, or where the next one's first NAL unit begins,
for cameras forget any of them. A picture of which anything is missing is left out and counted.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from agent.ingest import refusals
from agent.ingest.wire.strange import NotUnderstood

MOST_PICTURE_BYTES = 8 * 1024 * 1024  # a key picture of 4K has about two
PREFIX_BYTES = 4
PADDING_BYTES = 64  # libav's decoders read a little further than they are told
_PREFIX, _PADDING = bytes(PREFIX_BYTES), bytes(PADDING_BYTES)
DOLLAR, FRAME_BYTES = 0x24, 4  # RFC 2326 section 10.12: "$", channel, length
# That, an RTP header but for its source, and the first four bytes of the payload. What comes first
# in each, two bytes, is the same for all in the middle of a NAL unit and compared as one number.
_FRAME = struct.Struct(">HHHHI4xI")
SLACK_BYTES = _FRAME.size
_HEADER_BYTES = 12
_PLAIN, _ODD = 0x80, 0x3F  # padding, extension, sources: headers that are not just twelve bytes
_FIRST, _LAST = 0x80, 0x40  # of a fragment's header
_MARKER = 0x80
_NO_FRAGMENTS = _NO_NAL = -1
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
    """One access unit. `ticks` of 90 kHz from the stream's first picture on, never wrapping.

    Behind `data` come `PADDING_BYTES` zeros in the same memory.
    """

    data: memoryview
    ticks: int
    is_key: bool


class Pictures(ABC):
    """Puts one track's packets together; `ready` holds what is whole."""

    # Where the bytes of a fragment begin in its packet, and which of the first four bytes of its
    # payload (shifted by so much) are the same for all in the middle of one NAL unit.
    FRAGMENT_AT: ClassVar[int]
    FRAGMENT_SHIFT: ClassVar[int]

    def __init__(self, payload_type: int) -> None:
        self._payload_type = payload_type
        self.ready: list[Picture] = []
        self.damaged_total = 0
        # What is begun, put together when it is whole: before each NAL unit its length, that of the
        # last one, at `_nal_at`, once it is known. Behind the first `_kept` come pieces of the
        # buffer itself.
        self._pieces: list[bytes | memoryview] = []
        self._kept, self._nal_at = 0, _NO_NAL
        self._has_slice = self._is_key = self._is_damaged = False
        self._strangers = 0
        self._next_seq: int | None = None
        self._stamp: int | None = None
        self._ticks = self._last_ticks = self._backward = 0
        self._marked = False  # the picture of the present time stamp was ended by its marker
        self._trusts_marker = True
        self._middle = _NO_FRAGMENTS

    def take_frames(self, raw: bytearray, at: int, end: int, channel: int) -> int:
        """Take the interleaved frames in `raw[at:end]`; return where what is no whole one begins.

        `raw` goes on for `SLACK_BYTES` behind `end`. Most packets are the middle of a NAL unit and
        are taken here at once: on a small box this loop is most of what receiving costs.
        """
        unpack, view = _FRAME.unpack_from, memoryview(raw)
        body_at, cut = FRAME_BYTES + self.FRAGMENT_AT, self.FRAGMENT_SHIFT
        ours, plain = DOLLAR << 8 | channel, _PLAIN << 8 | _MARKER | self._payload_type
        while end - at >= FRAME_BYTES:
            mark, size, head, seq, stamp, kind = unpack(raw, at)
            after = at + FRAME_BYTES + size
            if mark >> 8 != DOLLAR or after > end:
                break
            if (
                (part := kind >> cut) | _LAST == self._middle | _LAST
                and seq == self._next_seq
                and stamp == self._stamp
                and head | _MARKER == plain
                and mark == ours
                and after > at + body_at
            ):
                self._pieces.append(view[at + body_at : after])
                self._next_seq = (seq + 1) & 0xFFFF
                if part & _LAST:
                    self._middle = _NO_FRAGMENTS
                if head & _MARKER:
                    self._heed_marker()
            elif mark == ours:
                self.take(view[at + FRAME_BYTES : after])
            at = after
        self._keep()
        return at

    def take(self, packet: memoryview) -> None:
        """Take one RTP packet, whose memory must stay as it is until the picture is over or kept.

        Raises `NotUnderstood`, `CameraError` camera.codec_changed.
        """
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
            self._is_damaged, self._middle = True, _NO_FRAGMENTS
            if isinstance(error, StrangerError):
                self._count_stranger()
        if second & _MARKER:
            self._heed_marker()

    def _heed_marker(self) -> None:
        if self._trusts_marker and (self._has_slice or self._is_damaged):
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
        self._seal()
        self._nal_at = len(self._pieces)
        self._pieces.append(_PREFIX)
        self._more(head)

    def _fragment(self, header: bytes, state: int, head: bytes, piece: memoryview) -> None:
        """Take a part of a NAL unit: `header` and `state` of the part, `head` of the whole.

        Raises `DamagedError`.
        """
        if state & _FIRST:
            if self._middle != _NO_FRAGMENTS:
                self._is_damaged = True  # the one before has no end
            self._nal(head, piece)
            if not self._is_damaged:
                self._middle = int.from_bytes((*header, state & ~(_FIRST | _LAST)), "big")
        elif self._middle != _NO_FRAGMENTS:
            self._more(piece)
        else:
            raise DamagedError
        if state & _LAST:
            self._middle = _NO_FRAGMENTS

    def _more(self, piece: memoryview) -> None:
        if not self._is_damaged:
            self._pieces.append(piece)

    def _seal(self) -> None:
        """Write the length of the NAL unit that is whole now before it."""
        if (at := self._nal_at) != _NO_NAL:
            size_bytes = sum(map(len, self._pieces[at + 1 :]))
            self._pieces[at] = size_bytes.to_bytes(PREFIX_BYTES)
            self._nal_at = _NO_NAL

    def _keep(self) -> None:
        """Copy what is begun out of the buffer, which is read into again; too much is let go."""
        pieces, kept, at = self._pieces, self._kept, self._nal_at
        if len(pieces) == kept:
            return
        if at < kept:
            pieces[kept:] = [b"".join(pieces[kept:])]
        else:
            pieces[kept:] = [b"".join(pieces[kept:at]), _PREFIX, b"".join(pieces[at + 1 :])]
            self._nal_at = kept + 1
        self._kept = len(pieces)
        if sum(map(len, pieces)) > MOST_PICTURE_BYTES:
            self._forget()
            self._is_damaged, self._middle = True, _NO_FRAGMENTS

    def _forget(self) -> None:
        self._pieces, self._kept, self._nal_at = [], 0, _NO_NAL

    def _missed(self) -> None:
        """Packets are missing: what is begun will not be whole."""
        self._middle, self._backward = _NO_FRAGMENTS, 0
        if self._pieces:
            self._is_damaged = True

    def _begin(self, stamp: int) -> None:
        if self._stamp is not None:
            self._ticks += (stamp - self._stamp + _WRAP // 2) % _WRAP - _WRAP // 2
        self._stamp, self._marked = stamp, False

    def _end(self) -> None:
        """The picture is over: hand it on when it is whole."""
        was_damaged = self._is_damaged
        if not was_damaged and not self._has_slice:
            return  # sets or messages alone belong to the picture behind them
        if was_damaged:
            self.damaged_total += 1
        else:
            self._seal()
            self._judge_order()
            data = memoryview(b"".join((*self._pieces, _PADDING)))[:-PADDING_BYTES]
            self.ready.append(Picture(data, self._ticks, self._is_key))
        self._forget()
        self._has_slice = self._is_key = self._is_damaged = False
        self._middle = _NO_FRAGMENTS

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
