"""A drawn face, good enough to be found, and a car that drives past with it behind its window."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from agent.contract.events import Region

WIDTH, HEIGHT, FPS = 640, 360, 10
FACE_PX, FACE_AT_PX = 40, 150  # how high, and how far from the top
_STEP_PX = 6


def face(height: int = FACE_PX) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return the picture of a face, and which of its points belong to it."""
    width = int(height * 0.78)
    rows, columns = np.mgrid[0:height, 0:width].astype(float)
    x, y = (columns - width / 2) / (width / 2), (rows - height / 2) / (height / 2)
    shade = 1 - 0.25 * np.abs(x) - 0.1 * y
    picture = np.array((205.0, 160.0, 130.0)) * shade[..., None]
    picture[y < -0.55 + 0.15 * x**2] = (45, 32, 25)
    for eye in (-0.38, 0.38):
        picture[((x - eye) / 0.2) ** 2 + ((y + 0.12) / 0.085) ** 2 < 1] = (235, 230, 225)
        picture[((x - eye) / 0.085) ** 2 + ((y + 0.12) / 0.085) ** 2 < 1] = (40, 28, 20)
        brow = y + 0.32 + 0.15 * np.abs(x - eye)
        picture[(np.abs(x - eye) < 0.24) & (np.abs(brow) < 0.045)] = (50, 36, 28)
    picture[(x / 0.13) ** 2 + ((y - 0.2) / 0.1) ** 2 < 1] *= 0.78
    picture[(np.abs(x - 0.06) < 0.04) & (y > -0.1) & (y < 0.2)] *= 0.88
    picture[(x / 0.36) ** 2 + ((y - 0.52) / 0.085) ** 2 < 1] = (150, 70, 70)
    picture[(np.abs(x) < 0.34) & (np.abs(y - 0.52) < 0.02)] = (90, 40, 40)
    return np.clip(picture, 0, 255).astype(np.uint8), x**2 + y**2 < 1


def where(number: int) -> Region:
    """Return where the face is in a picture of the clip."""
    left = 60 + number * _STEP_PX
    return Region(left / WIDTH, FACE_AT_PX / HEIGHT, FACE_PX * 0.78 / WIDTH, FACE_PX / HEIGHT)


def drive_past(path: Path, seconds: int = 4) -> Path:
    """Write an MP4 with a key picture a second."""
    ground = np.random.default_rng(1).integers(90, 120, (HEIGHT, WIDTH, 3), np.uint8)
    pixels, is_face = face()
    options = {"preset": "ultrafast", "crf": "18", "x264-params": "keyint=10:scenecut=0:bframes=0"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(FPS * seconds):
            picture = ground.copy()
            left = round(where(number).x * WIDTH)
            picture[130:240, left - 50 : left + 90] = (30, 60, 140)  # the car
            picture[140:195, left - 20 : left + 50] = (70, 80, 85)  # its window
            there = picture[FACE_AT_PX : FACE_AT_PX + FACE_PX, left : left + is_face.shape[1]]
            there[is_face] = pixels[is_face]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
