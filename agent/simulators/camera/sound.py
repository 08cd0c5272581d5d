"""The sound of a simulated camera: G.711 silence, or a tone in AAC made once at its start."""

from __future__ import annotations

import math
from array import array
from fractions import Fraction
from typing import Protocol

import av
from av.audio.frame import AudioFrame

from agent.simulators.camera.rtp import sound_packet

_AAC_TYPE, _AAC_HZ, _AAC_SAMPLES = 97, 16_000, 1024
_PCMU_HZ = 8_000
_TONE_HZ, _LOOP_S = 440, 2


class Sound(Protocol):
    """A sound track as its viewers get it."""

    @property
    def sdp(self) -> tuple[str, ...]:
        """The lines that describe it."""
        ...

    def packets(self, channel: int, since_s: Fraction, length_s: Fraction, ssrc: int) -> bytes:
        """Return what is heard in `length_s` from `since_s` on, ready for the connection."""
        ...


class PcmuSilence:
    """RFC 3551 section 4.5.14, static payload type 0."""

    sdp = ("m=audio 0 RTP/AVP 0", "a=rtpmap:0 PCMU/8000", "a=control:trackID=1")

    def packets(self, channel: int, since_s: Fraction, length_s: Fraction, ssrc: int) -> bytes:
        first, end = round(since_s * _PCMU_HZ), round((since_s + length_s) * _PCMU_HZ)
        number = round(since_s / length_s)
        return sound_packet(channel, 0, number, first, ssrc, b"\xff" * (end - first))


class AacTone:
    """RFC 3640, mode AAC-hbr: one access unit a packet."""

    def __init__(self) -> None:
        self._config, self._units = _encoded()

    @property
    def sdp(self) -> tuple[str, ...]:
        form = "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3"
        return (
            f"m=audio 0 RTP/AVP {_AAC_TYPE}",
            f"a=rtpmap:{_AAC_TYPE} MPEG4-GENERIC/{_AAC_HZ}/1",
            f"a=fmtp:{_AAC_TYPE} {form};indexdeltalength=3;config={self._config.hex()}",
            "a=control:trackID=1",
        )

    def packets(self, channel: int, since_s: Fraction, length_s: Fraction, ssrc: int) -> bytes:
        unit_s = Fraction(_AAC_SAMPLES, _AAC_HZ)
        due = range(math.ceil(since_s / unit_s), math.ceil((since_s + length_s) / unit_s))
        return b"".join(self._packet(channel, number, ssrc) for number in due)

    def _packet(self, channel: int, number: int, ssrc: int) -> bytes:
        unit = self._units[number % len(self._units)]
        payload = (16).to_bytes(2, "big") + (len(unit) << 3).to_bytes(2, "big") + unit
        return sound_packet(channel, _AAC_TYPE, number, number * _AAC_SAMPLES, ssrc, payload)


def _encoded() -> tuple[bytes, list[bytes]]:
    """Return the decoder's configuration and the access units of a loop of tone."""
    encoder = av.CodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = _AAC_HZ, "mono", "fltp"
    encoder.time_base = Fraction(1, _AAC_HZ)
    units = []
    for number in range(_AAC_HZ * _LOOP_S // _AAC_SAMPLES):
        at = range(number * _AAC_SAMPLES, (number + 1) * _AAC_SAMPLES)
        tone = array("f", (0.3 * math.sin(math.tau * _TONE_HZ * n / _AAC_HZ) for n in at))
        frame = AudioFrame("fltp", "mono", _AAC_SAMPLES)
        frame.planes[0].update(tone.tobytes())
        frame.sample_rate, frame.pts = _AAC_HZ, number * _AAC_SAMPLES
        units += [bytes(packet) for packet in encoder.encode(frame)]
    units += [bytes(packet) for packet in encoder.encode(None)]
    return bytes(encoder.extradata or b""), units
