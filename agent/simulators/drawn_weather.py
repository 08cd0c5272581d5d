"""The drawn street under what sets alarms off though nothing happens. All of it is SYNTHETIC.

Rain, snow, insects at the lens, headlights at night, shadows, standing water, a lawful crowd, a
pole that shakes: each a film of any length, the same at every run. They show that rules stay
silent; they don't show how well anything is found, for which real footage is needed.
"""

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from agent.simulators.drawn_scene import PASSERS_BY, Picture, Walk, draw_figure, empty_streets

STAFF = ((0.1, 0.55), (0.1, 0.05))
"""Where a staff gauge is painted on the wall: its foot and its top (fractions)."""

Draw = Callable[[Picture, float], None]
Floats = NDArray[np.float32]


def frames(
    name: str, width_px: int, height_px: int, fps: float, seconds: float
) -> Iterator[Picture]:
    """Yield `seconds` of the scene `name` (see `SCENES`) as RGB pictures, each a fresh array."""
    streets = streets_with_staff(width_px, height_px)
    draw = SCENES[name](width_px, height_px)
    for number in range(round(seconds * fps)):
        picture = streets[number % len(streets)].copy()
        draw(picture, number / fps)
        yield picture


def streets_with_staff(width_px: int, height_px: int) -> list[Picture]:
    """Return the empty street with a painted staff gauge, each with its own camera noise."""
    streets = empty_streets(width_px, height_px)
    (x, foot), (_, top) = STAFF
    columns = slice(int((x - 0.02) * width_px), int((x + 0.02) * width_px))
    for street in streets:
        for row in range(int(top * height_px), int(foot * height_px)):
            bar = (row * 60 // height_px) % 2
            street[row, columns] = 215 if bar else 40
            if row * 30 // height_px % 2:  # its figures
                street[row, columns.start + 4 : columns.start + 9] = 128
    return streets


def _rain(width_px: int, height_px: int) -> Draw:
    random = np.random.default_rng(1)

    def draw(picture: Picture, at_s: float) -> None:
        heavy = 0.5 + 0.5 * math.sin(at_s / 40)  # showers come and go
        _darken(picture, 0.8 - 0.2 * heavy)
        drops = int(150 + 500 * heavy)
        x = random.integers(0, width_px - 8, drops)
        y = random.integers(0, height_px - 24, drops)
        bright = random.integers(20, 70, drops)[:, None]
        for step in range(16):
            _lighten(picture, y + step, x + step // 4, bright)
        splashes = drops // 2
        x = random.integers(2, width_px - 4, splashes)
        y = random.integers(int(0.56 * height_px), height_px - 3, splashes)
        for across in (-1, 0, 1):
            _lighten(picture, y, x + across, np.full((splashes, 1), 50))

    return draw


def _snow(width_px: int, height_px: int) -> Draw:
    random = np.random.default_rng(2)
    count = 260
    size_px = np.where(random.random(count) < 0.04, 12, random.integers(1, 5, count))
    x, y = random.random(count) * width_px, random.random(count) * height_px
    speed = (0.15 + 0.05 * size_px) * height_px

    def draw(picture: Picture, at_s: float) -> None:
        _darken(picture, 0.9)
        fallen = (y + speed * at_s) % (height_px + 20) - 10
        drifted = (x + 30 * np.sin(at_s * 0.7 + x) + 12 * at_s) % (width_px + 20) - 10
        for left, top, size in zip(drifted.astype(int), fallen.astype(int), size_px, strict=True):
            rows, columns = _inside(picture, top, left, int(size))
            patch = picture[rows, columns]
            patch[:] = (patch * 0.3 + 0.7 * 235).astype(np.uint8)

    return draw


def _insects(width_px: int, height_px: int) -> Draw:
    """Moths in the camera's own light at night: big, soft, bright, and never still."""
    glow = _glow(48)

    def draw(picture: Picture, at_s: float) -> None:
        _night(picture)
        for moth in range(3):
            beat = at_s * (1.7 + 0.4 * moth) + moth * 9
            is_away = math.sin(at_s / 11 + 2 * moth) < -0.2
            if is_away:
                continue
            x = (0.5 + 0.45 * math.sin(beat) * math.cos(0.37 * beat)) * width_px
            y = (0.5 + 0.45 * math.sin(1.31 * beat + moth)) * height_px
            _shine(picture, glow, int(y), int(x), 200)

    return draw


def _headlights(width_px: int, height_px: int) -> Draw:
    """Cars pass outside the view at night: their light sweeps over wall and road."""
    glow = _glow(height_px // 2)

    def draw(picture: Picture, at_s: float) -> None:
        _night(picture)
        cycle, within_s = divmod(at_s, 7.0)
        if within_s < 4.0:
            share = within_s / 4.0 if int(cycle) % 2 else 1 - within_s / 4.0
            x = int((1.6 * share - 0.3) * width_px)
            _shine(picture, glow, int(0.35 * height_px), x, 150)
            _shine(picture, glow, int(0.85 * height_px), x + width_px // 8, 120)

    return draw


def _shadows(width_px: int, height_px: int) -> Draw:
    """Clouds cross the sun, a tree's shadow sways on the pavement and the road."""
    y, x = np.mgrid[:height_px, :width_px].astype(np.float32) / height_px
    leaves = np.random.default_rng(5).normal(0, 1, (height_px // 12 + 2, width_px // 12 + 2))
    tree = np.kron(leaves, np.ones((12, 12)))[:height_px, :width_px] > 0.3
    tree &= np.hypot(x - 0.6, (y - 0.7) * 1.6) < 0.4

    def draw(picture: Picture, at_s: float) -> None:
        sun = 1.0 - 0.35 * max(0.0, math.sin(at_s / 25)) ** 2
        sway_px = round(5 * math.sin(at_s * 1.9) + 3 * math.sin(at_s * 0.6))
        shadow = np.roll(tree, sway_px, axis=1)
        picture[shadow] = (picture[shadow] * 0.65).astype(np.uint8)
        _darken(picture, sun)

    return draw


def _water(width_px: int, height_px: int) -> Draw:
    """Puddles on the road ripple and mirror the sky."""
    y, x = np.mgrid[:height_px, :width_px].astype(np.float32) / height_px
    puddles = np.hypot((x - 0.5) / 0.42, (y - 0.86) / 0.09) < 1
    puddles |= np.hypot((x - 1.2) / 0.3, (y - 0.72) / 0.06) < 1
    px, py = x[puddles], y[puddles]

    def draw(picture: Picture, at_s: float) -> None:
        waves = np.sin(90 * py + 7 * at_s + 4 * np.sin(30 * px + 2 * at_s))
        waves += np.sin(60 * px - 5 * at_s)
        picture[puddles] = (125 + 28 * waves)[:, None].clip(0, 255).astype(np.uint8)

    return draw


def _crowd(width_px: int, height_px: int) -> Draw:
    """Some people walk where they may: on the pavement behind the road."""

    def draw(picture: Picture, at_s: float) -> None:
        for number in range(8):
            ahead = 1 if number % 2 else -1
            way = (0.07 + 0.01 * (number % 4)) * at_s + 0.25 * number
            center = way % (width_px / height_px + 0.3) - 0.15
            if ahead < 0:
                center = width_px / height_px - center
            walk = Walk(center, ahead, 5.0 * at_s + number, PASSERS_BY[number % 2])
            draw_figure(picture, walk, 0.42 + 0.012 * number, 0.2)

    return draw


def _shake(_width_px: int, _height_px: int) -> Draw:
    """The pole trembles in the wind, by a few pixels."""

    def draw(picture: Picture, at_s: float) -> None:
        gust = max(0.0, math.sin(at_s / 9))
        moved = (round(2 * gust * math.sin(9 * at_s)), round(4 * gust * math.sin(7 * at_s + 1)))
        picture[:] = np.roll(picture, moved, axis=(0, 1))

    return draw


SCENES: Mapping[str, Callable[[int, int], Draw]] = {
    "rain": _rain,
    "snow": _snow,
    "insects": _insects,
    "headlights": _headlights,
    "shadows": _shadows,
    "water": _water,
    "crowd": _crowd,
    "shake": _shake,
}


def _darken(picture: Picture, share: float) -> None:
    table = (np.arange(256) * share).astype(np.uint8)
    picture[:] = table[picture]


def _night(picture: Picture) -> None:
    """Make it grey and dark, as under the camera's infrared light."""
    table = (12 + np.arange(256) * 0.3).astype(np.uint8)
    picture[:] = table[picture[:, :, 1]][:, :, None]


def _lighten(
    picture: Picture, y: NDArray[np.int64], x: NDArray[np.int64], by: NDArray[np.int64]
) -> None:
    picture[y, x] = np.minimum(picture[y, x].astype(np.int64) + by, 255).astype(np.uint8)


def _glow(size_px: int) -> Floats:
    """Return a soft round light, 1 in its middle."""
    y, x = np.mgrid[-size_px:size_px, -size_px:size_px].astype(np.float32) / size_px
    glow: Floats = np.exp(-4 * (x * x + y * y)).astype(np.float32)
    return glow


def _shine(picture: Picture, glow: Floats, y: int, x: int, by: float) -> None:
    half = glow.shape[0] // 2
    rows, columns = _inside(picture, y - half, x - half, 2 * half)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    part = glow[
        rows.start - y + half : rows.stop - y + half,
        columns.start - x + half : columns.stop - x + half,
    ]
    lit = picture[rows, columns] + by * part[:, :, None]
    picture[rows, columns] = np.minimum(lit, 255).astype(np.uint8)


def _inside(picture: Picture, top: int, left: int, size_px: int) -> tuple[slice, slice]:
    height_px, width_px = picture.shape[:2]
    return (
        slice(max(0, top), min(height_px, max(0, top + size_px))),
        slice(max(0, left), min(width_px, max(0, left + size_px))),
    )
