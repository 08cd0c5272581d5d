"""The fragments of an MP4 file as they are put together here, and the index that ends it.

A fragment (ISO/IEC 14496-12 section 8.8) is a `moof`, which tells of some frames, and an `mdat`
with their bytes. libav's muxer takes long for each frame, and can't be told to write what it has
when nothing more comes for a while. Codecs and track headers stay its own: see `segment_file`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_BOX = struct.Struct(">I4s")
_MFHD = struct.Struct(">I4sII")  # size, name, version and flags, number of the fragment
_TFHD = struct.Struct(">I4sII")  # size, name, version and flags, track
_TFDT = struct.Struct(">I4sIQ")  # size, name, version and flags, decoding time
_TRUN = struct.Struct(">I4sIIi")  # size, name, version and flags, frames, where their bytes begin
_FRAME = struct.Struct(">IIII")  # duration, bytes, flags, presentation behind decoding time
_TFRA = struct.Struct(">I4sIIII")  # size, name, version and flags, track, lengths, entries
_ENTRY = struct.Struct(">QQBBB")  # time, where the fragment begins, track, run and frame in it
_MFRO = struct.Struct(">I4sII")  # size, name, version and flags, size of all
_FROM_MOOF = 0x020000  # places in a file are counted from its fragment's beginning
_WIDE = 0x01000000  # version 1: 64 bits
_EACH = 0x000F01  # each frame has its duration, size, flags and lead
_KEY, _OTHER = 0x02000000, 0x01010000  # depends on no other frame; depends, and is no sync sample


@dataclass(slots=True)
class _Frames:
    """What one track has in the fragment to come."""

    dts: list[int] = field(default_factory=list)
    told: list[tuple[int, int, int]] = field(default_factory=list)  # bytes, flags, lead
    data: list[bytes | memoryview] = field(default_factory=list)
    last_ticks: int = 0  # how long the last frame is shown, as far as is known

    def add(self, data: bytes | memoryview, dts: int, lead: int, ticks: int, flags: int) -> None:
        if self.dts and ticks <= 0:
            ticks = dts - self.dts[-1]
        self.last_ticks = ticks if ticks > 0 else self.last_ticks
        self.dts.append(dts)
        self.told.append((len(data), flags, lead))
        self.data.append(data)

    def moof_bytes(self) -> int:
        return _BOX.size + _TFHD.size + _TFDT.size + _TRUN.size + _FRAME.size * len(self.dts)

    def traf(self, track: int, data_at: int) -> bytes:
        dts = self.dts
        ends = [*dts[1:], dts[-1] + self.last_ticks]
        rows = (
            _FRAME.pack(end - begin, *told)
            for begin, end, told in zip(dts, ends, self.told, strict=True)
        )
        trun_bytes = _TRUN.size + _FRAME.size * len(dts)
        return b"".join(
            (
                _BOX.pack(self.moof_bytes(), b"traf"),
                _TFHD.pack(_TFHD.size, b"tfhd", _FROM_MOOF, track),
                _TFDT.pack(_TFDT.size, b"tfdt", _WIDE, dts[0]),
                _TRUN.pack(trun_bytes, b"trun", _EACH, len(dts), data_at),
                *rows,
            )
        )


class Fragments:
    """Gathers frames of some tracks, numbered from 1; `take` makes a fragment of them."""

    def __init__(self, tracks: int) -> None:
        self._tracks = [_Frames() for _ in range(tracks)]
        self._number = 0
        self._keys: list[tuple[int, int, int]] = []  # of the first track: time, fragment, frame

    def add(
        self,
        data: bytes | memoryview,
        dts: int,
        pts: int,
        *,
        is_key: bool,
        ticks: int = 0,
        track: int = 1,
    ) -> None:
        """Take a frame, its times in ticks of its track; `ticks`: how long it lasts, if known."""
        self._tracks[track - 1].add(data, dts, pts - dts, ticks, _KEY if is_key else _OTHER)

    @property
    def begins(self) -> int | None:
        """The decoding time of the first frame of the first track that waits; None without any."""
        times = self._tracks[0].dts
        return times[0] if times else None

    def take(self, at: int) -> list[bytes | memoryview]:
        """Return the pieces of what waits as a fragment, for the file's byte `at`; none if none."""
        held = [(number, one) for number, one in enumerate(self._tracks, 1) if one.dts]
        if not held:
            return []
        self._number += 1
        moof_bytes = _BOX.size + _MFHD.size + sum(one.moof_bytes() for _, one in held)
        pieces: list[bytes | memoryview] = [
            _BOX.pack(moof_bytes, b"moof"),
            _MFHD.pack(_MFHD.size, b"mfhd", 0, self._number),
        ]
        data: list[bytes | memoryview] = []
        mdat_bytes = _BOX.size
        for number, one in held:
            pieces.append(one.traf(number, moof_bytes + mdat_bytes))
            data += one.data
            mdat_bytes += sum(size for size, _, _ in one.told)
            if number == 1:
                self._note_keys(one, at)
            self._tracks[number - 1] = _Frames(last_ticks=one.last_ticks)
        pieces.append(_BOX.pack(mdat_bytes, b"mdat"))
        return [b"".join(pieces), *data]

    def _note_keys(self, frames: _Frames, at: int) -> None:
        told = zip(frames.dts, frames.told, strict=True)
        self._keys += [
            (dts + lead, at, number)
            for number, (dts, (_, flags, lead)) in enumerate(told, 1)
            if flags == _KEY
        ]

    def index(self) -> bytes:
        """Return the file's last box: where its key frames are."""
        size = _TFRA.size + _ENTRY.size * len(self._keys)
        whole = _BOX.size + size + _MFRO.size
        entries = (_ENTRY.pack(time, at, 1, 1, number) for time, at, number in self._keys)
        return b"".join(
            (
                _BOX.pack(whole, b"mfra"),
                _TFRA.pack(size, b"tfra", _WIDE, 1, 0, len(self._keys)),
                *entries,
                _MFRO.pack(_MFRO.size, b"mfro", 0, whole),
            )
        )


def with_lengths(units: Iterable[bytes]) -> bytes:
    """Return NAL units as MP4 stores them, each with its length before it."""
    return b"".join(piece for unit in units for piece in (len(unit).to_bytes(4, "big"), unit))


def units_between_start_codes(data: bytes) -> Sequence[bytes]:
    """Return the NAL units of a byte stream (ITU-T H.264 Annex B)."""
    return [unit for piece in data.split(b"\0\0\1")[1:] if (unit := piece.rstrip(b"\0"))]
