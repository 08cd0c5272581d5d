"""Who is let have a camera's login over RTSP: asked once a challenge came, before it is answered.

The worker decides (`agent.app.stream_door`); this is what a reader of streams needs of it.
"""

from dataclasses import dataclass
from typing import Protocol

from agent.core.shown import Shown


@dataclass(frozen=True, slots=True)
class Asking:
    """One who asks for a login. `in_clear`: for the password itself, over a line without TLS."""

    host: str
    shown: Shown
    in_clear: bool = False


class Admission(Protocol):
    """Used by the threads of all streams of a camera."""

    def admit(self, asking: Asking) -> None:
        """Return when the login may be sent. Raises `CameraError` camera.stranger, unreachable."""
        ...

    def opened(self, asking: Asking) -> None:
        """Video came after the login."""
        ...
