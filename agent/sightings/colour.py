"""Which colour are the clothes? Pixels of a part of the region vote; without a majority: unknown.

Works on a cut of the picture in RGB. Lamps that colour everything make it guess wrong, so it is a
help for search, not proof.
"""

import numpy as np
from numpy.typing import NDArray

from agent.sightings.words import COLOURS, UNKNOWN

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]
Shares = NDArray[np.float64]
"""Of each of `COLOURS`; all 0 where nothing can be told."""

_LEAST_PX = 20  # of a part; fewer tell nothing
_MAJORITY = 0.4
_UPPER, _LOWER = (0.18, 0.48), (0.54, 0.86)  # of a standing person's height
_ACROSS = (0.28, 0.72)
_LEAST_TALL_PX = 96  # of a person, for a hat
_NO_HAIR = frozenset({"red", "yellow", "green", "cyan", "blue", "purple", "pink"})
_BLACK_BELOW, _WHITE_ABOVE = 0.22, 0.78  # of full value
_GREY_BELOW = 0.20  # of full saturation
_HUES = (
    (15, "red"), (42, "orange"), (70, "yellow"), (165, "green"), (195, "cyan"), (262, "blue"),
    (300, "purple"), (342, "pink"), (361, "red"),
)  # fmt: skip
_EDGES = np.array([float(upto) for upto, _ in _HUES])
_OF_HUE = np.array([COLOURS.index(name) for _, name in _HUES])
_BROWN_IF_DARK = np.array([name in ("orange", "yellow") for name in COLOURS])


def clothes(cut: Picture) -> tuple[Shares, Shares]:
    """Return the colours of a standing person's upper and lower part."""
    upper, lower = _part(cut, _UPPER), _part(cut, _LOWER)
    names = name_pixels(np.concatenate([upper, lower]))
    return _shares(names[: len(upper)]), _shares(names[len(upper) :])


def whole(cut: Picture) -> Shares:
    """Return the colours of a thing: of the middle of its region."""
    return _shares(name_pixels(_part(cut, (0.25, 0.75))))


def hat(cut: Picture) -> int:
    """Return the colour of a cap or helmet (index into `COLOURS`), where it can be told.

    Only of a colour no hair has, on a head tall enough, and unlike what is to its left and right:
    else it may be the wall behind. That nothing is told means nothing.
    """
    height, width = cut.shape[:2]
    if height < _LEAST_TALL_PX:
        return UNKNOWN
    band = cut[round(0.01 * height) : round(0.08 * height)]
    crown = _plainly(band[:, round(0.38 * width) : round(0.62 * width)])
    if COLOURS[crown] not in _NO_HAIR:
        return UNKNOWN
    around = np.concatenate([band[:, : round(0.15 * width)], band[:, round(0.85 * width) :]], 1)
    return UNKNOWN if _plainly(around) == crown else crown


def plain(shares: Shares) -> int:
    """Return the colour that has a majority (index into `COLOURS`); 0: none has."""
    if not shares.any():
        return UNKNOWN
    best = int(shares.argmax())
    return best if shares[best] >= _MAJORITY else UNKNOWN


def _plainly(part: Picture) -> int:
    return plain(_shares(name_pixels(part.reshape(-1, 3))))


def _part(cut: Picture, rows: tuple[float, float]) -> Picture:
    """Return the pixels (N, 3) of the middle of some rows."""
    height, width = cut.shape[:2]
    return cut[
        round(rows[0] * height) : round(rows[1] * height),
        round(_ACROSS[0] * width) : round(_ACROSS[1] * width),
    ].reshape(-1, 3)


def _shares(names: NDArray[np.int64]) -> Shares:
    """Return the share of each of `COLOURS`, all 0 when there are too few pixels to tell."""
    if len(names) < _LEAST_PX:
        return np.zeros(len(COLOURS))
    shares: Shares = np.bincount(names, minlength=len(COLOURS)) / len(names)
    return shares


def name_pixels(pixels: Picture) -> NDArray[np.int64]:
    """Return the colour of each RGB pixel (N, 3) as an index into `COLOURS`."""
    rgb: Floats = pixels.astype(np.float64) / 255
    value, least = rgb.max(axis=1), rgb.min(axis=1)
    spread = value - least
    saturation = spread / np.maximum(value, 1e-6)
    names = _OF_HUE[np.searchsorted(_EDGES, _hue(rgb, value, spread), side="right")]
    names = np.where(_BROWN_IF_DARK[names] & (value < 0.55), COLOURS.index("brown"), names)
    grey = (saturation < _GREY_BELOW) | (spread < 0.06)
    names = np.where(grey, COLOURS.index("grey"), names)
    names = np.where(grey & (value > _WHITE_ABOVE), COLOURS.index("white"), names)
    result: NDArray[np.int64] = np.where(value < _BLACK_BELOW, COLOURS.index("black"), names)
    return result


def _hue(rgb: Floats, value: Floats, spread: Floats) -> Floats:
    """Return the hue in degrees, 0 up to 360."""
    red, green, blue = rgb.T
    safe = np.maximum(spread, 1e-6)
    sixths: Floats = np.where(
        value == red,
        (green - blue) / safe % 6,
        np.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    return sixths * 60.0
