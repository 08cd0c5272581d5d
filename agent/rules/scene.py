"""What a rule may know of one frame beside its tracks: brightness, and what ails the picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.messages.picture import PictureTrouble

Luma = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Scene:
    """A small picture of the frame's brightness (rows, columns), and its open faults."""

    luma: Luma
    troubles: tuple[PictureTrouble, ...] = ()
