"""Aim mode: somebody looks at a camera to aim it, for a reason, and only for a while.

In memory: a restart ends it. Begun and ended by the page's orders, which are audited as a view.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from msgspec import Struct

from agent.core.clock import Clock
from agent.core.errors import CommandError
from agent.local.setup.cameras import Cameras
from agent.messages.worker import ZoneScale
from agent.pointing.stand import pointing_of
from agent.settings.model import CameraSettings

AIM_S: Final = 300.0
REASONS: Final = ("installation", "repair", "inspection")
_MOST: Final = 64


class Aimed(Struct, frozen=True, kw_only=True):
    """How a camera is aimed just now. None: unknown.

    `best` is the best focus since the beginning; `level_deg` how far the horizon leans in the
    picture, `pole_lean_deg` how far the mount does, by a PTZ camera's landmarks.
    """

    left_s: float
    of: str = ""
    focus: float | None = None
    best: float | None = None
    detail: bytes = b""
    horizon: tuple[tuple[float, float], tuple[float, float]] | None = None
    level_deg: float | None = None
    pole_lean_deg: float | None = None
    zones: tuple[str, ...] = ()
    scales: tuple[ZoneScale, ...] = ()


@dataclass(slots=True)
class _Aiming:
    until_mono_s: float
    best: dict[str, float] = field(default_factory=dict)  # by stream: their scores don't compare


class AimMode:
    """Who aims what: by person and camera."""

    def __init__(self, cameras: Cameras, clock: Clock) -> None:
        self._cameras, self._clock = cameras, clock
        self._by_whom: dict[tuple[str, str], _Aiming] = {}

    def begin(self, who: str, camera_id: str) -> None:
        """Begin anew: the best focus is forgotten."""
        now_s = self._clock.monotonic_s()
        self._by_whom = {
            key: aiming for key, aiming in self._by_whom.items() if aiming.until_mono_s > now_s
        }
        if len(self._by_whom) >= _MOST:
            self._by_whom.clear()
        self._by_whom[who, camera_id] = _Aiming(now_s + AIM_S)

    def end(self, who: str, camera_id: str) -> None:
        """End before its time."""
        self._by_whom.pop((who, camera_id), None)

    async def look(self, who: str, camera: CameraSettings) -> Aimed | None:
        """Return how it is aimed; None when nobody began, or the time is over."""
        aiming = self._by_whom.get((who, camera.camera_id))
        left_s = aiming.until_mono_s - self._clock.monotonic_s() if aiming else 0.0
        if aiming is None or left_s <= 0:
            return None
        reading = await self._cameras.aim(camera.camera_id)
        if reading is None:
            return Aimed(left_s=left_s)
        best = aiming.best[reading.of] = max(reading.focus, aiming.best.get(reading.of, 0.0))
        return Aimed(
            left_s=left_s,
            of=reading.of,
            focus=reading.focus,
            best=best,
            detail=reading.detail,
            horizon=reading.horizon,
            level_deg=reading.level_deg,
            pole_lean_deg=_pole_lean_deg(camera),
            zones=tuple(rule.rule_id for rule in camera.rules if rule.outline),
            scales=reading.scales,
        )


def _pole_lean_deg(camera: CameraSettings) -> float | None:
    try:
        mount = pointing_of(camera.camera_id, camera.stand).mount
    except CommandError:
        return None
    return round(math.hypot(mount.lean_east_deg, mount.lean_north_deg), 1)
