"""What may happen to a camera's picture, done to real or drawn luma frames, and a simulated time.

Frames are looked at as the worker does, one every two seconds, without waiting.
"""

import math

import numpy as np

from agent.detect.picture_health import LOOK_EVERY_S, PictureHealth
from agent.messages.picture import PictureKind
from agent.simulators import drawn_scene

RANDOM = np.random.default_rng(11)
LEARNED_S = 200.0
WITHIN_S = 300.0


def drawn_looks(width_px=320, height_px=180, looks=80):
    """Return luma of the drawn street, two seconds apart, with fresh noise in each."""
    shown = drawn_scene.frames(width_px, height_px, 1 / LOOK_EVERY_S, looks * LOOK_EVERY_S)
    return [noisy(16 + 0.86 * frame.mean(axis=2), 1.5) for frame in shown]


def luma(values):
    return np.ascontiguousarray(np.asarray(values).clip(0, 255).astype(np.uint8))


def noisy(frame, sigma):
    return luma(frame + RANDOM.normal(0, sigma, np.shape(frame)))


def blurred(frame, radius):
    wide = frame.astype(np.float32)
    for _ in range(2):
        for axis in (0, 1):
            padding = [(0, 0), (0, 0)]
            padding[axis] = (radius + 1, radius)
            sums = np.pad(wide, padding, mode="edge").cumsum(axis=axis)
            size = 2 * radius + 1
            upper, lower = (
                (sums[size:], sums[:-size])
                if axis == 0
                else (
                    sums[:, size:],
                    sums[:, :-size],
                )
            )
            wide = (upper - lower) / size
    return luma(wide)


def turned(frame, angle_deg):
    height, width = frame.shape
    y, x = np.mgrid[:height, :width]
    y, x = y - height / 2, x - width / 2
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    rows = np.rint(-sin * x + cos * y + height / 2).clip(0, height - 1).astype(int)
    columns = np.rint(cos * x + sin * y + width / 2).clip(0, width - 1).astype(int)
    return luma(frame[rows, columns])


def shifted(frame, right, down):
    height, width = frame.shape
    rows = (np.arange(height) - round(down * height)).clip(0, height - 1)
    columns = (np.arange(width) - round(right * width)).clip(0, width - 1)
    return luma(frame[rows][:, columns])


def darkened(frame, share):
    return noisy(16 + (frame.astype(float) - 16) * share, 0.7)


def glaring(frame):
    height, width = frame.shape
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(x / width - 0.6, y / height - 0.3)
    return luma(frame + 400 * np.exp(-((distance / 0.45) ** 2)))


def bagged(frame):
    """Return a cloth over the lens: soft folds and a little noise, nothing of the scene."""
    return noisy(np.tile(np.linspace(40, 110, frame.shape[1]), (frame.shape[0], 1)), 1.5)


def infrared(frame):
    """Return the scene by night under a lamp: dim at the edges, harder contrast, noise."""
    height, width = frame.shape
    y, x = np.mgrid[:height, :width]
    lamp = np.exp(-4 * ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2))
    return noisy(16 + (frame.astype(float) - 16) * 0.9 * lamp, 2.5)


def dirty(frame, strength):
    """Return the scene through a smeared lower left corner; `strength` 0 is clean, 1 opaque."""
    height, width = frame.shape
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(x / width - 0.3, y / height - 0.75)
    veil = strength * np.clip(1.6 - distance / 0.22, 0.0, 1.0)
    return luma(frame * (1 - veil) + 120 * veil)


def webbed(frame, strength):
    """Return the scene behind a spider's web, so near that its threads are bright haze."""
    height, width = frame.shape
    y, x = np.mgrid[:height, :width]
    angle = np.arctan2(y - 0.2 * height, x - 0.8 * width)
    radius = np.hypot(x / width - 0.8, y / height - 0.2)
    threads = 0.75 + 0.25 * np.cos(6 * angle) * np.cos(25 * radius)
    veil = strength * threads * np.clip(1.6 - radius / 0.25, 0.0, 1.0)
    return luma(frame * (1 - veil) + 200 * veil)


FAULTS = {
    "cloth": (PictureKind.COVERED, bagged),
    "lid": (PictureKind.COVERED, lambda frame: np.full_like(frame, 30)),
    "paint": (PictureKind.COVERED, lambda frame: noisy(np.full_like(frame, 150), 2)),
    "soft": (PictureKind.DEFOCUSED, lambda frame: blurred(frame, 3)),
    "very-soft": (PictureKind.DEFOCUSED, lambda frame: blurred(frame, 5)),
    "pushed": (PictureKind.MOVED, lambda frame: shifted(frame, 0.22, 0.12)),
    "pushed-a-little": (PictureKind.MOVED, lambda frame: shifted(frame, -0.1, 0.06)),
    "dim": (PictureKind.DARK, lambda frame: darkened(frame, 0.12)),
    "black": (PictureKind.DARK, lambda frame: noisy(np.full_like(frame, 16), 0.7)),
    "interference": (PictureKind.NOISE, lambda frame: noisy(frame, 20)),
    "askew": (PictureKind.TILTED, lambda frame: turned(frame, 10)),
    "askew-the-other-way": (PictureKind.TILTED, lambda frame: turned(frame, -18)),
    "lamp": (PictureKind.GLARE, glaring),
    "white": (PictureKind.GLARE, lambda frame: np.full_like(frame, 235)),
}
"""Name to (kind it must be called, what it does to a frame). Frozen needs no picture."""


class Watched:
    """One camera watched over simulated time. `told`: (kind, state, seconds since `mark`)."""

    def __init__(self, baselines=None, **settings):
        self.health = PictureHealth(baselines, **settings)
        self.at_s, self.mark_s, self.told = 0.0, 0.0, []

    def show(self, looks, seconds, *, is_grey=False, every_s=LOOK_EVERY_S):
        """Show `looks` in a loop; `mark` and `told` begin anew. Return the kinds that began."""
        self.told, self.mark_s = [], self.at_s
        for number in range(round(seconds / every_s)):
            self.at_s += every_s
            look = looks(number) if callable(looks) else looks[number % len(looks)]
            for change in self.health.look(look, self.at_s, is_grey=is_grey):
                self.told.append((change.kind, change.state.value, self.at_s - self.mark_s))
        return [kind for kind, state, _ in self.told if state == "began"]

    @property
    def ended(self):
        return [kind for kind, state, _ in self.told if state == "ended"]
