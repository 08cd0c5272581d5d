"""The picture the project draws itself, for machines where the real recording can't be had."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from agent.core.errors import PolesideError

TITLE_EN = "Drawn scene, not a real recording: the real one could not be fetched on this machine."
TITLE_KO = "실제 녹화가 아닌 그린 장면입니다. 이 기기에서 실제 영상을 받을 수 없었습니다."


def draw_pictures(fps: int) -> Iterator[NDArray[np.uint8]]:
    """Draw the loop."""
    raise PolesideError(
        "simulator.no-drawn-scene",
        f"There is no drawn scene yet (asked for {fps} pictures a second).",
        hint="Make the real recording available: install Debian's package opencv-doc.",
    )
