"""Small moving pictures for tests, encoded for real: a bright block that walks over a ground."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_OPTIONS = {
    "libx264": {
        "x264-params": "keyint={gop}:min-keyint={gop}:scenecut=0:bframes={bframes}:b-adapt=0"
    },
    "libx265": {
        "x265-params": "keyint={gop}:min-keyint={gop}:scenecut=0:bframes={bframes}:log-level=none"
        ":pools=1:frame-threads=1"
    },
}


def make_clip(
    path: Path,
    *,
    codec: str = "libx264",
    size_px: tuple[int, int] = (320, 240),
    fps: int = 10,
    seconds: int = 2,
    ground: int = 60,
    gop_s: int = 1,
    bframes: int = 0,
) -> Path:
    """Write an MP4 of `seconds` with a key picture every `gop_s`; `ground` is its brightness."""
    width, height = size_px
    noise = np.random.default_rng(1).integers(0, 24, (height, width, 3), dtype=np.uint8)
    options = {
        name: text.format(gop=fps * gop_s, bframes=bframes)
        for name, text in _OPTIONS[codec].items()
    }
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options={"preset": "ultrafast"} | options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(fps * seconds):
            picture = noise + np.uint8(ground)
            left = number * 8 % (width - 40)
            picture[80:140, left : left + 40] = 230
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
