"""Spoils what a simulated camera sends, as its `Faults` say. Seeded: a run can be repeated."""

import random
from collections.abc import Iterator

from agent.simulators.camera.faults import Faults

_HEADER_BYTES, _RTP_BYTES = 4, 12  # "$" framing, RTP header
_LONG = 4 * 1024 * 1024
_HUGE = 2_000_000_000


class WireFaults:
    """The spoiler of one camera."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._dice = random.Random(faults.seed)  # noqa: S311 - repeatable, not secret

    def packets(self, wire: bytes) -> bytes:
        """Return interleaved packets as the faults let them through."""
        if not self._is_needed():
            return wire
        frames = [bytearray(frame) for frame in _frames(wire)]
        for index in range(len(frames) - 1):
            if self._hits(self._faults.swapped):
                frames[index], frames[index + 1] = frames[index + 1], frames[index]
        out: list[bytes] = []
        for frame in frames:
            if self._hits(self._faults.loss):
                continue
            self._spoil(frame)
            sent = bytes(frame)
            if self._hits(self._faults.cut_short):
                sent = sent[: self._dice.randrange(1, len(sent))]
            out += [sent, sent] if self._hits(self._faults.twice) else [sent]
        return b"".join(out)

    def answer(self, answer: bytes) -> bytes:
        """Return an RTSP answer with some of its bytes wrong."""
        share = self._faults.mangle_answers
        if not share:
            return answer
        spoiled = bytearray(answer)
        for at in range(len(spoiled)):
            if self._hits(share):
                spoiled[at] = self._dice.randrange(256)
        return bytes(spoiled)

    def _is_needed(self) -> bool:
        f = self._faults
        shares = (f.loss, f.twice, f.swapped, f.bad_payload, f.bad_nal_header, f.bad_rtp_header)
        return (
            any(shares)
            or f.bad_frame_header > 0
            or f.cut_short > 0
            or f.no_marker
            or f.wrong_payload_type
            or f.new_ssrc
        )

    def _spoil(self, frame: bytearray) -> None:
        f = self._faults
        body = _HEADER_BYTES + _RTP_BYTES
        if f.no_marker:
            frame[5] &= 0x7F
        if f.wrong_payload_type:
            frame[5] = frame[5] & 0x80 | 97
        if f.new_ssrc:
            frame[12:16] = b"\xde\xad\xbe\xef"
        for share, low, high in (
            (f.bad_payload, body, len(frame)),
            (f.bad_nal_header, body, body + 2),
            (f.bad_rtp_header, _HEADER_BYTES, body),
            (f.bad_frame_header, 0, _HEADER_BYTES),
        ):
            if self._hits(share):
                for _ in range(self._dice.randrange(1, 4)):
                    frame[self._dice.randrange(low, min(high, len(frame)))] = self._dice.randrange(
                        256
                    )

    def _hits(self, share: float) -> bool:
        return share > 0 and self._dice.random() < share


def hostile_answer(kind: str, answer: bytes) -> bytes:
    """Return `answer` made to fill the client's memory or to keep it busy."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, _, rest = head.partition(b"\r\n")
    if kind == "long_line":
        return first + b"\r\nX-Long: " + b"a" * _LONG + b"\r\n" + rest + b"\r\n\r\n" + body
    if kind == "many_headers":
        return first + b"\r\n" + b"X-Many: 1\r\n" * 100_000 + rest + b"\r\n\r\n" + body
    if kind == "long_sdp":
        return _with_body(head, body + b"a=x-long:" + b"b" * _LONG + b"\r\n")
    if kind == "many_tracks":
        track = b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:trackID=9\r\n"
        return _with_body(head, body + track * 20_000)
    return _with_body(head, body, said_bytes=_HUGE)  # "huge_length"


def _with_body(head: bytes, body: bytes, said_bytes: int | None = None) -> bytes:
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length:")]
    length = len(body) if said_bytes is None else said_bytes
    lines.append(b"Content-Length: %d" % length)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def _frames(wire: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(wire):
        size = _HEADER_BYTES + int.from_bytes(wire[at + 2 : at + 4], "big")
        yield wire[at : at + size]
        at += size
