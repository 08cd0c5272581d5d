"""The description of a stream that libav's muxer and decoder go by, without its demuxer."""

from __future__ import annotations

import io
from fractions import Fraction

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from agent.ingest import nal_units, refusals
from agent.ingest.wire.pictures import Picture
from agent.ingest.wire.strange import NotUnderstood

TICK = Fraction(1, 90_000)
_START_CODE = b"\x00\x00\x00\x01"
_AT_ONCE = {"analyzeduration": "0", "probesize": "32", "fpsprobesize": "0"}
_FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


class Template:
    """What is known of a stream; the first key picture tells it."""

    def __init__(self, codec: str, sets: tuple[bytes, ...]) -> None:
        """`sets`: parameter sets that the camera's description holds."""
        self._codec, self._told = codec, list(sets)
        self._sets: list[bytes] = []  # of the key picture that was learnt from
        self._container: InputContainer | None = None
        self._stream: VideoStream | None = None  # of it; asked for with each picture
        self.size_px = (0, 0)

    @property
    def stream(self) -> VideoStream | None:
        """The stream as libav would have it; None before the first key picture."""
        return self._stream

    def learn(self, picture: Picture) -> None:
        """Take format and size from the first key picture, and see that they stay.

        A key picture without sets, or with spoilt ones, is none: nobody could decode it. Raises
        `CameraError` camera.codec_changed; `NotUnderstood` for a video whose pictures are sent in
        another order than they are shown.
        """
        if not picture.is_key:
            return
        sets = nal_units.parameter_sets(picture.data, self._codec, is_stored=True)
        if self._container is None:
            self._container = self._learn(sets, bytes(picture.data))
            self._sets = sets
            self._stream = self._container.streams.video[0] if self._container else None
            picture.is_key = self._container is not None
        elif sets and self._sets and sets != self._sets:
            raise refusals.other_format()

    def _learn(self, sets: list[bytes], picture: bytes) -> InputContainer | None:
        units = [*([] if sets else self._told), *nal_units.whole_units(picture)]
        film = b"".join(_START_CODE + unit for unit in units)
        try:
            with av.open(io.BytesIO(film), "r", format=self._codec, options=_AT_ONCE) as shown:
                seen = shown.streams.video[0].codec_context
                if seen.has_b_frames:
                    raise NotUnderstood("pictures in another order than they are shown")
                if not seen.width or not seen.pix_fmt:
                    return None
                self.size_px = seen.width, seen.height
                return _as_stored(shown.streams.video[0], film)
        except (FFmpegError, OSError, ValueError):
            return None

    def close(self) -> None:
        if self._container is not None:
            self._container.close()


def _as_stored(stream: VideoStream, film: bytes) -> InputContainer:
    """Let libav store one picture as MP4 does, and return what it says of that."""
    stream.time_base = TICK
    stored = io.BytesIO()
    with av.open(stored, "w", format="mp4", options=_FRAGMENTS) as out:
        packet = Packet(film)
        packet.stream = out.add_stream_from_template(stream)
        packet.pts = packet.dts = 0
        packet.time_base, packet.is_keyframe = TICK, True
        out.mux(packet)
    stored.seek(0)
    return av.open(stored, "r", format="mp4")
