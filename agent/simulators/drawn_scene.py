"""A street drawn by code alone, where now and then somebody walks across.

The demo's camera shows it, and tests use it as a real picture: the shipped detector truly fires on
the figure as `person`. Every length is in picture heights, so that any size shows the same scene;
the same second always shows the same picture.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agent.contract.events import Region

CYCLE_S = 20.0
"""Every so often somebody walks by, in turn from the left and from the right."""
WALK_BEGINS_S, WALK_ENDS_S = 5.0, 15.0
"""Within a cycle: before and after, the street is empty."""
ROAD_ZONE = ((0.25, 0.60), (0.75, 0.60), (0.75, 0.95), (0.25, 0.95))
"""A part of the road that everybody crosses, as a zone for rules (fractions)."""

_WALL_ENDS, _ROAD_BEGINS, _FOOT_LINE = 0.30, 0.55, 0.84
_TALL = 0.40
_STEPS_PER_S = 0.9
_NOISE_FRAMES = 4
_NOISE_SIGMA = 3.0

Rgb = tuple[float, float, float]
Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]


class Clothes(NamedTuple):
    """Colours of one figure."""

    top: Rgb
    trousers: Rgb
    hair: Rgb = (50, 38, 30)
    skin: Rgb = (205, 160, 130)
    shoes: Rgb = (30, 28, 28)


PASSERS_BY = (
    Clothes(top=(150, 40, 45), trousers=(45, 55, 85)),
    Clothes(top=(60, 95, 70), trousers=(52, 50, 50), hair=(85, 60, 38)),
)


class Limb(NamedTuple):
    """A tapered stick from `start` to `end` in body heights, x ahead and y down from the foot."""

    start: tuple[float, float]
    end: tuple[float, float]
    start_radius: float
    end_radius: float
    colour: Rgb


def frames(width_px: int, height_px: int, fps: float, seconds: float) -> Iterator[Picture]:
    """Yield `seconds` of the scene as (height, width, 3) RGB pictures, each one a fresh array."""
    streets = empty_streets(width_px, height_px)
    for number in range(round(seconds * fps)):
        picture = streets[number % len(streets)].copy()
        _draw_passer_by(picture, number / fps)
        yield picture


def person_at(at_s: float, width_px: int, height_px: int) -> Region | None:
    """Return where the figure is, its part inside the picture, or None while nobody is there."""
    walk = _walk_at(at_s, width_px / height_px)
    if walk is None:
        return None
    aspect, half_wide = width_px / height_px, 0.12 * _TALL
    left, right = (
        min(max((walk.center + side * half_wide) / aspect, 0.0), 1.0) for side in (-1, 1)
    )
    if left == right:
        return None
    return Region(x=left, y=_FOOT_LINE - _TALL, width=right - left, height=_TALL)


class Walk(NamedTuple):
    """Somebody in mid-step."""

    center: float  # in picture heights from the left edge
    ahead: int  # 1 walks to the right, -1 to the left
    phase: float  # radians of the step
    clothes: Clothes


def _walk_at(at_s: float, aspect: float) -> Walk | None:
    cycle, within_s = divmod(at_s, CYCLE_S)
    if not WALK_BEGINS_S <= within_s < WALK_ENDS_S:
        return None
    share = (within_s - WALK_BEGINS_S) / (WALK_ENDS_S - WALK_BEGINS_S)
    odd = int(cycle) % 2
    margin = 0.2 * _TALL
    way = share * (aspect + 2 * margin) - margin
    return Walk(
        center=aspect - way if odd else way,
        ahead=-1 if odd else 1,
        phase=2 * math.pi * _STEPS_PER_S * within_s,
        clothes=PASSERS_BY[odd],
    )


def _draw_passer_by(picture: Picture, at_s: float) -> None:
    height_px, width_px = picture.shape[:2]
    walk = _walk_at(at_s, width_px / height_px)
    if walk is not None:
        draw_figure(picture, walk, _FOOT_LINE, _TALL)


def draw_figure(picture: Picture, walk: Walk, foot_line: float, tall: float) -> None:
    """Draw somebody walking into the picture; `foot_line` and `tall` are in picture heights."""
    height_px, width_px = picture.shape[:2]
    tall_px = tall * height_px
    foot_px, center_px = foot_line * height_px, walk.center * height_px
    left, right = (round(center_px + side * 0.6 * tall_px) for side in (-1, 1))
    top, bottom = round(foot_px - 1.05 * tall_px), round(foot_px + 0.12 * tall_px)
    rows = slice(max(0, top), min(height_px, bottom))
    columns = slice(max(0, left), min(width_px, right))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    patch = picture[rows, columns].astype(np.float32)
    y, x = np.mgrid[rows, columns].astype(np.float32) + 0.5
    x, y = (x - center_px) / tall_px, (y - foot_px) / tall_px
    _paint_shadow(patch, x, y)
    x *= walk.ahead
    for limb in _body(math.sin(walk.phase), walk.clothes):
        _paint(patch, x, y, limb, pixel=1 / tall_px)
    picture[rows, columns] = patch.clip(0, 255).astype(np.uint8)


def _body(swing: float, clothes: Clothes) -> Iterator[Limb]:
    """Yield the limbs of a figure seen from the side, far ones first."""
    hip, shoulder, head = (0.0, -0.50), (0.01, -0.80), (0.015, -0.925)
    yield from _arm(shoulder, swing, clothes, shade=0.72)
    yield from _leg(hip, -swing, clothes, shade=0.75)
    yield from _leg(hip, swing, clothes, shade=1.0)
    yield Limb((shoulder[0], -0.77), hip, 0.085, 0.08, clothes.top)
    yield Limb(hip, (0.0, -0.47), 0.078, 0.075, clothes.trousers)
    yield Limb((shoulder[0], -0.82), head, 0.035, 0.035, _darker(clothes.skin, 0.8))
    yield Limb((head[0], -0.933), (head[0] + 0.004, -0.903), 0.060, 0.048, clothes.skin)
    yield Limb((head[0] - 0.012, -0.96), (head[0] - 0.028, -0.925), 0.05, 0.045, clothes.hair)
    yield from _arm(shoulder, -swing, clothes, shade=1.0)


def _leg(hip: tuple[float, float], swing: float, clothes: Clothes, shade: float) -> Iterator[Limb]:
    thigh = 0.2 * swing + 0.08 + 0.12 * max(0.0, -swing)
    shin = 0.2 * swing - 0.35 * max(0.0, -swing)
    knee = (hip[0] + 0.24 * math.sin(thigh), hip[1] + 0.24 * math.cos(thigh))
    ankle = (knee[0] + 0.23 * math.sin(shin), knee[1] + 0.22 * math.cos(shin))
    heel, toe = (ankle[0] - 0.01, ankle[1] + 0.015), (ankle[0] + 0.055, ankle[1] + 0.022)
    trousers = _darker(clothes.trousers, shade)
    yield Limb(hip, knee, 0.062, 0.046, trousers)
    yield Limb(knee, ankle, 0.045, 0.032, trousers)
    yield Limb(heel, toe, 0.024, 0.018, _darker(clothes.shoes, shade))


def _arm(
    shoulder: tuple[float, float], swing: float, clothes: Clothes, shade: float
) -> Iterator[Limb]:
    upper = 0.26 * swing
    start = (shoulder[0], shoulder[1] + 0.015)
    elbow = (start[0] + 0.16 * math.sin(upper), start[1] + 0.16 * math.cos(upper))
    wrist = (elbow[0] + 0.15 * math.sin(upper + 0.35), elbow[1] + 0.145 * math.cos(upper + 0.35))
    sleeve = _darker(clothes.top, shade)
    yield Limb(start, elbow, 0.036, 0.030, sleeve)
    yield Limb(elbow, wrist, 0.030, 0.022, sleeve)
    yield Limb(
        wrist, (wrist[0] + 0.01, wrist[1] + 0.025), 0.02, 0.018, _darker(clothes.skin, shade)
    )


def _paint(patch: Floats, x: Floats, y: Floats, limb: Limb, pixel: float) -> None:
    """Blend a limb in: soft edges one pixel wide, lit like a cylinder from the front."""
    (ax, ay), (bx, by) = limb.start, limb.end
    dx, dy = bx - ax, by - ay
    along = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0.0, 1.0)
    radius = limb.start_radius + (limb.end_radius - limb.start_radius) * along
    from_edge = np.hypot(x - ax - along * dx, y - ay - along * dy) - radius
    cover = np.clip(0.5 - from_edge / (1.6 * pixel), 0.0, 1.0)[..., np.newaxis]
    across = np.clip((x - ax - along * dx) / radius, -1.0, 1.0)
    light = (1.0 - 0.18 * across - 0.12 * across**2)[..., np.newaxis]
    patch += cover * (np.array(limb.colour, np.float32) * light - patch)


def _paint_shadow(patch: Floats, x: Floats, y: Floats) -> None:
    """Darken the ground in a soft ellipse to the right of the feet."""
    from_edge = np.hypot((x - 0.16) / 0.30, (y + 0.01) / 0.045) - 1.0
    patch *= 1.0 - 0.45 * np.clip(0.5 - 2.0 * from_edge, 0.0, 1.0)[..., np.newaxis]


def _darker(colour: Rgb, shade: float) -> Rgb:
    return (colour[0] * shade, colour[1] * shade, colour[2] * shade)


def empty_streets(width_px: int, height_px: int) -> list[Picture]:
    """Return the empty street a few times, each with its own camera noise."""
    random = np.random.default_rng(20260101)
    street = _empty_street(width_px, height_px)
    grain = random.normal(0.0, 4.0, (height_px // 4 + 1, width_px // 4 + 1, 1))
    street += grain.repeat(4, axis=0).repeat(4, axis=1)[:height_px, :width_px]
    return [
        (street + random.normal(0.0, _NOISE_SIGMA, street.shape)).clip(0, 255).astype(np.uint8)
        for _ in range(_NOISE_FRAMES)
    ]


def _empty_street(width_px: int, height_px: int) -> Floats:
    y, x = np.mgrid[:height_px, :width_px].astype(np.float32) / height_px
    street = np.empty((height_px, width_px, 3), np.float32)
    street[:] = (150, 140, 128)  # wall
    in_window = (x % 0.19 > 0.06) & (x % 0.19 < 0.145) & (y > 0.06) & (y < 0.225)
    street[in_window] = (70, 80, 92)
    street[y >= _WALL_ENDS] = (168, 164, 156)  # pavement
    street[(y >= _WALL_ENDS) & ((x - 0.4 * y) % 0.125 < 0.003)] = (140, 136, 130)
    street[y >= _ROAD_BEGINS] = (190, 188, 182)  # kerb
    street[y >= _ROAD_BEGINS + 0.015] = (92, 93, 96)
    on_line = (np.abs(y - 0.80) < 0.008) & (x % 0.25 < 0.125)
    street[on_line] = (205, 203, 195)
    return street
