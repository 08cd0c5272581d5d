"""One decoded frame becomes a JPEG of a bounded size. Encodes with libav's mjpeg, one thread."""

from fractions import Fraction

import av
from av.video.reformatter import Interpolation, VideoReformatter

# libav's quantiser scale: 2 is nearly lossless, 31 the coarsest.
_QUANTISERS = (5, 8, 12, 18, 26)


def encode_jpeg(
    frame: av.VideoFrame, max_width_px: int, max_bytes: int, *, for_rtp: bool = False
) -> tuple[bytes, int, int]:
    """Return (jpeg, width_px, height_px), at most `max_width_px` wide and `max_bytes` long.

    Quality gives way first, then size, until it fits. `for_rtp`: with the standard Huffman tables
    and sides that RFC 2435 can tell.
    """
    step = 16 if for_rtp else 2
    width_px = min(max_width_px, frame.width) // step * step
    while True:
        height_px = max(step, round(frame.height * width_px / frame.width) // step * step)
        scaled = VideoReformatter().reformat(
            frame,
            width=width_px,
            height=height_px,
            format="yuvj420p",
            interpolation=Interpolation.AREA,
            threads=1,
        )
        for quantiser in _QUANTISERS:
            jpeg = _encode(scaled, quantiser, for_rtp=for_rtp)
            if len(jpeg) <= max_bytes:
                return jpeg, width_px, height_px
        width_px = max(32, width_px * 3 // 4 // step * step)


def _encode(frame: av.VideoFrame, quantiser: int, *, for_rtp: bool) -> bytes:
    codec = av.CodecContext.create("mjpeg", "w")
    codec.width, codec.height, codec.pix_fmt = frame.width, frame.height, "yuvj420p"
    codec.time_base = Fraction(1, 25)
    codec.thread_count = 1
    codec.options = {"qmin": str(quantiser), "qmax": str(quantiser)}
    if for_rtp:
        codec.options |= {"huffman": "default"}
    frame.pts, frame.time_base = 0, codec.time_base
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])
