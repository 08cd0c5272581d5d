"""Somebody passes before a camera: how he looks, from when to when. Worker to core.

Told once he can be described, and again when he is gone. From it the core links what one camera
lost to what another found.
"""

from datetime import datetime

from msgspec import Struct

Shares = tuple[float, ...]


class Passing(Struct, frozen=True, kw_only=True, tag="passing"):
    """One track. `upper` and `lower` are shares of each of `agent.sightings.words.COLOURS`.

    They are empty where colours could not be told; `height_m` is None where the camera is not
    calibrated. `begin_s` and `last_s` are monotonic seconds, `came_at` and `left_at` foot points in
    the picture.
    """

    camera_id: str
    track_id: int
    label: str
    begin: datetime
    last: datetime
    begin_s: float
    last_s: float
    came_at: tuple[float, float]
    left_at: tuple[float, float]
    upper: Shares = ()
    lower: Shares = ()
    height_m: float | None = None
    is_over: bool = False

    @property
    def key(self) -> tuple[str, int, datetime]:
        """What tells it from all others of the box."""
        return self.camera_id, self.track_id, self.begin
