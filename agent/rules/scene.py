"""What a rule may know of one frame beside its tracks: brightness, and what may ail the picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.messages.picture import PictureKind

Luma = NDArray[np.uint8]
SCENE_WIDTH_PX = 320


@dataclass(frozen=True, slots=True)
class Scene:
    """The frame's brightness (rows, columns; some `SCENE_WIDTH_PX` wide), and what may ail it."""

    luma: Luma
    doubts: frozenset[PictureKind] = frozenset()
