"""What the set-up pages ask of a camera that is in the settings: readings, turns, its own masks.

Made by the core (`agent.app.setup_cameras`). Who may ask is decided before.
"""

from typing import Protocol

from agent.local.access.people import Person
from agent.messages.worker import AimReading
from agent.settings.rules import Point


class Cameras(Protocol):
    """All raise `PolesideError` when the camera can't, or nobody may just now."""

    async def aim(self, camera_id: str) -> AimReading | None:
        """Return what helps to aim it; None while there is no picture."""
        ...

    def can_turn(self, camera_id: str) -> bool:
        """Say whether it ever said that it can be moved."""
        ...

    async def looks_at(self, camera_id: str) -> tuple[float, float]:
        """Return pan and tilt in the camera's own numbers."""
        ...

    async def turn(self, camera_id: str, pan: float, tilt: float, zoom: float, by: Person) -> None:
        """Move it for a moment with these speeds, -1 to 1."""
        ...

    async def centre(self, camera_id: str, at: Point, by: Person) -> None:
        """Turn it so that what is `at` this place of the picture comes about to its middle."""
        ...

    async def masks(self, camera_id: str) -> list[tuple[str, tuple[Point, ...]]]:
        """Return the camera's own privacy masks, with their tokens."""
        ...

    async def add_mask(self, camera_id: str, polygon: tuple[Point, ...], by: Person) -> None:
        """Have the camera itself cover a polygon; it is read back."""
        ...

    async def remove_mask(self, camera_id: str, token: str, by: Person) -> None:
        """Have the camera take a mask away."""
        ...
