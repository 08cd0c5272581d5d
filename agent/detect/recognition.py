"""Who of the newly begun tracks is who of the lost ones: asked by their colours and places.

Asked once a new track has been seen a few times, for then its colours are known; later it would
only steal the identity of somebody else. Kept strict, as a wrong answer costs more than none.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

_SAME_LOOKS = 0.2  # squared distance; one person after some seconds: 0.15, two of them: 0.73
_REACH, _REACH_PER_S = 2.0, 1.0  # in sizes; heights count twice, for people walk level
_GROWN = 0.5  # natural log of the ratio of heights


def recognised(
    new_places: Floats, new_looks: Floats, lost_places: Floats, lost_looks: Floats, lost_s: Floats
) -> list[tuple[int, int]]:
    """Return pairs (new, lost) that are one; places are center x, y, width, height of each row.

    `lost_s`: for how long each of the lost ones has not been seen.
    """
    if not len(new_places) or not len(lost_places):
        return []
    apart = np.square(new_looks[:, None] - lost_looks[None]).sum(axis=2)
    size = np.maximum(np.maximum(new_places[:, None, 2:], lost_places[None, :, 2:]), 1e-6)
    off = (new_places[:, None, :2] - lost_places[None, :, :2]) / size
    far = np.hypot(off[..., 0], 2 * off[..., 1]) > _REACH + _REACH_PER_S * lost_s[None]
    heights = [np.maximum(places[:, 3], 1e-6) for places in (new_places, lost_places)]
    grown = np.abs(np.log(heights[0][:, None] / heights[1][None])) >= _GROWN
    apart[far | grown] = np.inf
    pairs = []
    while apart.min() < _SAME_LOOKS:
        new, lost = np.unravel_index(int(apart.argmin()), apart.shape)
        pairs.append((int(new), int(lost)))
        apart[new], apart[:, lost] = np.inf, np.inf
    return pairs
