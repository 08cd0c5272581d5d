"""The picture the project draws itself, for machines where the real recording can't be had."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from agent.simulators.drawn_scene import CYCLE_S, frames
from agent.simulators.footage.loops import SOURCE_FPS, SOURCE_SIZE_PX

TITLE_EN = (
    "Drawn scene, no real recording: a figure walks across a street, made by this program itself."
)
TITLE_KO = "실제 녹화가 아니라 이 프로그램이 그린 장면입니다. 사람 모양이 길을 가로질러 걷습니다."
PAN_TOP_PX = 230  # the height at which the figure walks


def draw_pictures() -> Iterator[NDArray[np.uint8]]:
    """Draw two whole cycles of the scene, so that the loop closes without a jump."""
    return frames(*SOURCE_SIZE_PX, SOURCE_FPS, 2 * CYCLE_S)
