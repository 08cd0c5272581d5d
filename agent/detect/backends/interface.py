"""What the detector asks of an inference engine, whatever chip it runs on."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Backend(Protocol):
    """One loaded model, ready to run. Not thread-safe: one owner."""

    name: str

    def invoke(self, image: NDArray[np.uint8]) -> Sequence[NDArray[np.float32]]:
        """Run the model on one picture (height, width, 3) and return its outputs, batch axis off.

        The arrays may be the engine's own: let go of them before the next call. Raises
        `DetectorError` when the engine fails.
        """
        ...
