"""What a detection looks like: colour histograms of its upper and lower half.

From the detector's input, on a fixed grid of samples, so that near and far cost the same. Each
sample counts softly in the neighbouring bins of brightness and the two colour differences, which
makes small changes of shade small here, too. The picture's own white is taken for white: at night
colours would fall into one bin otherwise. Roots of shares make the Euclidean distance the one of
Hellinger. On the development clips two people a few seconds apart are confused half as often as by
mean colours of stripes (2.9 % of pairs against 9.0 %). It is no identity: two in the same uniform
look alike.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent.detect.letterbox import Letterboxed
from agent.messages.vision import Detection

Floats = NDArray[np.float32]

_BINS = 5
SIZE = 2 * _BINS**3
_ACROSS, _DOWN = 8, 12  # samples of one half
_EDGE_X, _EDGE_Y = 0.25, 0.1  # of width and height are left out on each side: background
_WHITE, _LEAST_WHITE = 200.0, 16.0
_WHITE_STEP_PX = 8
# From RGB: brightness, and blue and red against it, stretched over the whole range (BT.601).
_COLOURS = np.array(
    [[0.299, -0.335, 0.995], [0.587, -0.657, -0.834], [0.114, 0.992, -0.162]], np.float32
)
_GREY = np.array([0, 128, 128], np.float32)
_X = _EDGE_X + (1 - 2 * _EDGE_X) * (np.arange(_ACROSS) + 0.5) / _ACROSS
_Y = _EDGE_Y + (1 - 2 * _EDGE_Y) * (np.arange(2 * _DOWN) + 0.5) / (2 * _DOWN)


def _soft_bins() -> Floats:
    """Return for each 8-bit value its weight in each bin; two neighbours share it."""
    place = np.arange(256) * (_BINS - 1) / 256
    weights: Floats = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(_BINS))).astype(
        np.float32
    )
    return weights


_SOFT = _soft_bins()
# Of the two colour differences, for the outer product of their bins: AAABBB times ABABAB.
_SOFT_BLUE, _SOFT_RED = np.repeat(_SOFT, _BINS, axis=1), np.tile(_SOFT, (1, _BINS))


def looks_of(picture: Letterboxed, detections: Sequence[Detection]) -> Floats:
    """Return one row of `SIZE` values for each detection; the squares of each half add up to 1."""
    if not detections:
        return np.zeros((0, SIZE), np.float32)
    samples = _samples(picture, detections).reshape(-1, 3) @ _COLOURS
    samples += _GREY
    levels = samples.clip(0, 255, out=samples).astype(np.uint8).T
    halves = (2 * len(detections), _ACROSS * _DOWN)
    light = _SOFT.take(levels[0], axis=0).reshape(*halves, _BINS)
    colour = _SOFT_BLUE.take(levels[1], axis=0)
    colour *= _SOFT_RED.take(levels[2], axis=0)
    shares = light.transpose(0, 2, 1) @ colour.reshape(*halves, _BINS**2) / halves[1]
    looks: Floats = np.sqrt(shares).reshape(len(detections), SIZE)
    return looks


def _samples(picture: Letterboxed, detections: Sequence[Detection]) -> Floats:
    """Return the samples of each detection, rows first, as if white were as bright everywhere."""
    width_px, height_px = picture.content_width_px, picture.content_height_px
    sides = np.array([(r.x, r.y, r.width, r.height) for r in (one.region for one in detections)])
    x = ((sides[:, :1] + sides[:, 2:3] * _X) * width_px).astype(int).clip(0, width_px - 1)
    y = ((sides[:, 1:2] + sides[:, 3:] * _Y) * height_px).astype(int).clip(0, height_px - 1)
    pixels = picture.image.reshape(-1, 3)
    samples = pixels.take(y[:, :, None] * picture.image.shape[1] + x[:, None, :], axis=0)
    thin = picture.image[:height_px:_WHITE_STEP_PX, :width_px:_WHITE_STEP_PX].ravel()
    white = np.sort(thin, kind="stable")[thin.size * 95 // 100]  # by radix, on 8 bits
    brighter = np.float32(_WHITE / max(float(white), _LEAST_WHITE))
    scaled: Floats = np.minimum(samples * brighter, np.float32(255))
    return scaled
