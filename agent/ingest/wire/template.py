"""The description of a stream that libav's muxer and decoder go by, without its demuxer."""

from __future__ import annotations

import io
from fractions import Fraction

import av
from av.error import FFmpegError
from av.video.stream import VideoStream

from agent.ingest import nal_units, refusals
from agent.ingest.wire.pictures import START_CODE, Picture
from agent.ingest.wire.strange import NotUnderstood

_TICK = Fraction(1, 90_000)
# An access unit delimiter: the least that libav takes for a stream of the codec.
_DELIMITER = {"h264": b"\x09\xf0", "hevc": b"\x46\x01\x50"}
_AT_ONCE = {"analyzeduration": "0", "probesize": "32", "fpsprobesize": "0"}


class Template:
    """What is known of a stream; `learn` completes it with the first key picture."""

    def __init__(self, codec: str, sets: tuple[bytes, ...]) -> None:
        """`sets`: parameter sets that the camera's description holds."""
        self._codec = codec
        self._container = _open(START_CODE + _DELIMITER[codec], codec)
        self.stream: VideoStream = self._container.streams.video[0]
        self.stream.time_base = _TICK
        if sets:
            self.stream.codec_context.extradata = b"".join(START_CODE + one for one in sets)
        self.size_px = (0, 0)

    def learn(self, picture: Picture) -> None:
        """Take the size, and the sets, from a key picture; nothing once they are known.

        A key picture without sets, or with spoilt ones, is none: nobody could decode it. Raises
        `NotUnderstood` for a video whose pictures are sent in another order than they are shown.
        """
        if self.size_px[0] or not picture.is_key:
            return
        context = self.stream.codec_context
        sets = nal_units.parameter_sets(memoryview(picture.data), self._codec)
        told = b"".join(START_CODE + one for one in sets) or bytes(context.extradata or b"")
        size_px = self._size_shown(told + bytes(picture.data)) if told else (0, 0)
        if not size_px[0]:
            picture.is_key = False
            return
        self.size_px, context.extradata = size_px, told
        context.width, context.height = size_px

    def _size_shown(self, data: bytes) -> tuple[int, int]:
        with _open(data, self._codec) as shown:
            seen = shown.streams.video[0].codec_context
            if seen.has_b_frames:
                raise NotUnderstood("pictures in another order than they are shown")
            return (seen.width, seen.height) if seen.pix_fmt else (0, 0)

    def close(self) -> None:
        self._container.close()


def _open(data: bytes, codec: str) -> av.container.InputContainer:
    try:
        return av.open(io.BytesIO(data), "r", format=codec, options=_AT_ONCE)
    except (FFmpegError, OSError, ValueError) as error:
        raise refusals.garbled() from error
