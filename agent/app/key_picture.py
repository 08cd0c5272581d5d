"""The picture of a stream's newest key frame, decoded once: for who looks at a stream seldom.

Camera worker. Nothing else of the stream is decoded.
"""

from contextlib import suppress

import av
from av.error import FFmpegError
from av.packet import Packet

from agent.push.live_tap import LiveTap, Run

_ANNEX_B_START = b"\x00\x00\x00\x01"


class KeyPicture:
    """`tap` holds the stream's present GOP. Called by one thread."""

    def __init__(self, tap: LiveTap) -> None:
        self._tap = tap
        self._of: tuple[Run, int] | None = None  # of whose key frame, at which time
        self._frame: av.VideoFrame | None = None

    def newest(self) -> av.VideoFrame | None:
        """Return it; None while the stream is away."""
        run = self._tap.run
        follower = self._tap.join(run, lean=True) if run else None
        if run is None or follower is None:
            return None
        self._tap.leave(follower)
        key = follower.get(0.0)
        if key is None:
            return None
        if self._of != (run, key.pts):
            units = run.coding.with_sets(run.coding.units(key.data))
            whole = b"".join(_ANNEX_B_START + unit for unit in units)
            self._of, self._frame = (run, key.pts), _decoded(run.coding.codec, whole)
        return self._frame


def _decoded(codec: str, key_frame: bytes) -> av.VideoFrame | None:
    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(decoder, av.VideoCodecContext)  # noqa: S101 - both codecs are of video
    decoder.thread_count = 1
    with suppress(FFmpegError):
        frames = [*decoder.decode(Packet(key_frame)), *decoder.decode(None)]
        return frames[0] if frames else None
    return None
