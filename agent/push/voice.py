"""A voice from wherever it is offered, as telephone sound: 8 kHz, mono, 20 ms at a time.

A file or somebody who speaks now: libav reads both. Only in memory; nothing is ever written. Who
offers it over TLS must prove who it is: nobody else speaks at the scene.
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.error import FFmpegError

from agent.core.errors import PolesideError

HZ, CHUNK_SAMPLES = 8_000, 160
CHUNK_S = CHUNK_SAMPLES / HZ
_OPTIONS = {
    "protocol_whitelist": "http,https,tcp,tls,rtsp,rtsps,rtp,udp,rtmp,rtmps,crypto",
    "rtsp_transport": "tcp",  # the box calls outward, often through NAT
}
# What is spoken now is not gathered first: libav would listen for 5 s, and ask RTMP for 3 s.
_LIVE = {
    "analyzeduration": "100000",
    "probesize": "4096",
    "rtmp_buffer": "100",
    "rtmp_live": "live",
}
_SYSTEMS_TRUST = "/etc/ssl/certs/ca-certificates.crt"
_OPEN_S = (8.0, 5.0)


class VoiceError(PolesideError):
    """There is nothing to be heard at that address."""


def voice(url: str, ca: str = "", *, live: bool = False) -> Iterator[AudioFrame]:
    """Yield 20 ms after the other, as it comes. Raises `VoiceError` talk.no_voice.

    `ca` (PEM) vouches for who offers it over TLS; without one the system's authorities do. Who
    speaks `live` ends by hanging up, however that looks.
    """
    is_heard = False
    try:
        with _trust(ca) as trusted:
            options = _OPTIONS | trusted | (_LIVE if live else {})
            with av.open(url, options=options, timeout=_OPEN_S) as source:
                if not source.streams.audio:
                    raise _no_voice("there is no sound")
                resampler = AudioResampler("s16", "mono", HZ, CHUNK_SAMPLES)
                for frame in source.decode(source.streams.audio[0]):
                    is_heard = True
                    yield from _whole(resampler.resample(frame))
                yield from _whole(resampler.resample(None))
    except (FFmpegError, OSError) as error:
        if not (live and is_heard):
            raise _no_voice(type(error).__name__) from None


@contextmanager
def _trust(ca: str) -> Iterator[dict[str, str]]:
    """Give libav's TLS its authorities; `ca` as a file that lies in memory."""
    if not ca:
        system = ssl.get_default_verify_paths().cafile or _SYSTEMS_TRUST
        yield {"tls_verify": "1", "ca_file": system}
        return
    handle = os.memfd_create("ca")
    try:
        file = Path(f"/proc/self/fd/{handle}")
        file.write_text(ca)
        yield {"tls_verify": "1", "ca_file": str(file)}
    finally:
        os.close(handle)


class Telephone:
    """Codes chunks as G.711."""

    def __init__(self, law: Literal["mulaw", "alaw"]) -> None:
        self._coder = cast("AudioCodecContext", av.CodecContext.create(f"pcm_{law}", "w"))
        self._coder.sample_rate, self._coder.layout, self._coder.format = HZ, "mono", "s16"

    def coded(self, chunk: AudioFrame) -> bytes:
        """Return one byte a sample."""
        return b"".join(bytes(packet) for packet in self._coder.encode(chunk))


def plain(chunk: AudioFrame) -> bytes:
    """Return the samples, 16 bit, little-endian."""
    return bytes(chunk.planes[0])[: 2 * chunk.samples]


def _whole(chunks: list[AudioFrame]) -> Iterator[AudioFrame]:
    for chunk in chunks:
        chunk.pts = None
        yield chunk


def _no_voice(why: str) -> VoiceError:
    return VoiceError(
        "talk.no_voice",
        f"Nothing is heard from where the voice should come: {why}.",
        hint="Look whether the box reaches the address, whether it offers sound, and who vouches "
        "for its certificate.",
    )
