"""Measures what helps a technician to aim a camera: sharpness, horizon, pixels a metre.

Camera worker, only while somebody aims. Sharpness is of the main stream: a lens that is a little
off shows nothing of it in the small one. Its newest key frame alone is decoded, once.
"""

import math

import av
import numpy as np
from numpy.typing import NDArray

from agent.app.key_picture import KeyPicture
from agent.app.picture_mask import PictureMask
from agent.ingest.jpeg import encode_jpeg
from agent.messages.worker import AimReading, ZoneScale
from agent.push.live_tap import LiveTap
from agent.rules.ground import Ground
from agent.settings.model import CameraSettings

_DETAIL_PX = (480, 270)
_DETAIL_BYTES = 60 * 1024
Line = tuple[tuple[float, float], tuple[float, float]]


class AimLook:
    """`tap` holds the main stream's present GOP. Called by one thread."""

    def __init__(self, tap: LiveTap) -> None:
        self._main = KeyPicture(tap)

    def look(self, camera: CameraSettings, sub: av.VideoFrame) -> AimReading:
        """Return the reading; `sub` is the newest frame that the box looked at."""
        main = self._main.newest()
        frame = sub if main is None else PictureMask(camera.masks).over(main)
        luma = _luma(frame)
        horizon, scales = _on_ground(camera, frame.width)
        return AimReading(
            of="sub" if main is None else "main",
            focus=round(sharpness(_middle(luma, luma.shape[1] // 2, luma.shape[0] // 2)), 1),
            detail=_detail(luma),
            horizon=horizon,
            level_deg=_level_deg(horizon, frame.width / frame.height),
            scales=scales,
        )


def sharpness(luma: NDArray[np.uint8]) -> float:
    """Return the variance of the Laplacian (Pech-Pacheco et al. 2000): larger is sharper."""
    grey = luma.astype(np.int16)
    middle = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * middle
    return float(laplacian.var())


def _luma(frame: av.VideoFrame) -> NDArray[np.uint8]:
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[: frame.height, : frame.width]


def _middle(luma: NDArray[np.uint8], width_px: int, height_px: int) -> NDArray[np.uint8]:
    height, width = luma.shape
    top, left = max(0, (height - height_px) // 2), max(0, (width - width_px) // 2)
    return luma[top : top + height_px, left : left + width_px]


def _detail(luma: NDArray[np.uint8]) -> bytes:
    middle = np.ascontiguousarray(_middle(luma, *_DETAIL_PX))
    frame = av.VideoFrame.from_ndarray(middle, format="gray")
    return encode_jpeg(frame, _DETAIL_PX[0], _DETAIL_BYTES)[0]


def _level_deg(horizon: Line | None, aspect: float) -> float | None:
    if horizon is None:
        return None
    (_, left), (_, right) = horizon
    return round(math.degrees(math.atan((right - left) / aspect)), 1)


def _on_ground(camera: CameraSettings, width_px: int) -> tuple[Line | None, tuple[ZoneScale, ...]]:
    if camera.calibration is None:
        return None, ()
    ground, scales = Ground(camera.calibration), []
    for rule in camera.rules:
        found = [ground.px_per_m(point, width_px) for point in rule.outline]
        known = [scale for scale in found if scale is not None]
        if known:
            scales.append(
                ZoneScale(
                    rule_id=rule.rule_id,
                    least_px_per_m=round(min(known), 1),
                    most_px_per_m=round(max(known), 1),
                )
            )
    return ground.horizon(), tuple(scales)
