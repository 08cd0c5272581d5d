"""Which colour are the clothes? Pixels of a part of the region vote; without a majority: unknown.

Works on a cut of the picture in RGB. Lamps that colour everything make it guess wrong, so it is a
help for search, not proof.
"""

from collections.abc import Sequence
from dataclasses import dataclass

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
_MIDDLE = (0.25, 0.75)  # of a thing's
_PARTS, _NOTHING = 4, np.zeros((0, 3), np.uint8)
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


@dataclass(frozen=True, slots=True)
class Look:
    """The colours of one cut: of a person's upper and lower part and cap; of a thing, its own.

    `hat` is an index into `COLOURS`, where it can be told. That nothing is told means nothing.
    """

    upper: Shares
    lower: Shares
    hat: int = UNKNOWN


def looks_at(cuts: Sequence[tuple[Picture, bool]]) -> list[Look]:
    """Look at cuts, each with whether it is a standing person.

    All pixels in one pass: on so few of each, it is calls that cost.
    """
    parts = [part for cut, is_person in cuts for part in _parts(cut, is_person=is_person)]
    shares = _shares(parts)
    looks = []
    for number, (cut, is_person) in enumerate(cuts):
        upper, lower, crown, around = shares[number * _PARTS : (number + 1) * _PARTS]
        looks.append(Look(upper, lower, _hat(cut, crown, around) if is_person else UNKNOWN))
    return looks


def _parts(cut: Picture, *, is_person: bool) -> list[Picture]:
    """Return the pixels (N, 3) of upper and lower part, of the crown and of what is beside it."""
    height, width = cut.shape[:2]
    if not is_person:
        return [_part(cut, _MIDDLE), _NOTHING, _NOTHING, _NOTHING]
    band = cut[round(0.01 * height) : round(0.08 * height)]
    return [
        _part(cut, _UPPER),
        _part(cut, _LOWER),
        band[:, round(0.38 * width) : round(0.62 * width)].reshape(-1, 3),
        np.concatenate([band[:, : round(0.15 * width)], band[:, round(0.85 * width) :]], 1).reshape(
            -1, 3
        ),
    ]


def _hat(cut: Picture, crown: Shares, around: Shares) -> int:
    """Return the colour of a cap or helmet.

    Only of a colour no hair has, on a head tall enough, and unlike what is to its left and right:
    else it may be the wall behind.
    """
    colour = plain(crown)
    if cut.shape[0] < _LEAST_TALL_PX or COLOURS[colour] not in _NO_HAIR:
        return UNKNOWN
    return UNKNOWN if plain(around) == colour else colour


def plain(shares: Shares) -> int:
    """Return the colour that has a majority (index into `COLOURS`); 0: none has."""
    if not shares.any():
        return UNKNOWN
    best = int(shares.argmax())
    return best if shares[best] >= _MAJORITY else UNKNOWN


def _part(cut: Picture, rows: tuple[float, float]) -> Picture:
    """Return the pixels (N, 3) of the middle of some rows."""
    height, width = cut.shape[:2]
    return cut[
        round(rows[0] * height) : round(rows[1] * height),
        round(_ACROSS[0] * width) : round(_ACROSS[1] * width),
    ].reshape(-1, 3)


def _shares(parts: Sequence[Picture]) -> Shares:
    """Return for each part the share of each of `COLOURS`, all 0 where pixels are too few."""
    sizes = np.array([len(part) for part in parts])
    names = name_pixels(np.concatenate(parts))
    names += np.repeat(np.arange(len(parts)) * len(COLOURS), sizes)
    counts = np.bincount(names, minlength=len(parts) * len(COLOURS)).reshape(-1, len(COLOURS))
    shares: Shares = counts / np.maximum(sizes, 1)[:, None]
    shares[sizes < _LEAST_PX] = 0.0
    return shares


def name_pixels(pixels: Picture) -> NDArray[np.int64]:
    """Return the colour of each RGB pixel (N, 3) as an index into `COLOURS`."""
    rgb: Floats = pixels.T.astype(np.float64) / 255
    red, green, blue = rgb
    value = np.maximum(np.maximum(red, green), blue)
    least = np.minimum(np.minimum(red, green), blue)
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
    red, green, blue = rgb
    safe = np.maximum(spread, 1e-6)
    sixths: Floats = np.where(
        value == red,
        (green - blue) / safe % 6,
        np.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    return sixths * 60.0
