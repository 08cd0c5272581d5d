"""What the core knows of a camera through ONVIF. Apart, because it costs nothing to import."""

from dataclasses import dataclass
from datetime import datetime

from agent.cameras.port import DeviceFacts
from agent.cameras.streams import CameraStreams


@dataclass(frozen=True, slots=True)
class OnvifFacts:
    """What ONVIF said of a camera so far. `code` is the last failure's, None after success.

    `clock_ahead_s`: how far its clock is ahead of the box's, to a second; None while unknown.
    `candidates`: addresses where it may be now; `twins`: two devices that have its MAC address at
    once, which then tells nothing of who is who. `is_exchanged`: another camera hangs here than
    the calibration was made with. `drift`: settings that somebody changed. `warnings`: codes of
    what makes its streams awkward, each with the streams it is said of.
    """

    device: DeviceFacts | None = None
    streams: CameraStreams | None = None
    code: str | None = None
    since: datetime | None = None
    clock_ahead_s: float | None = None
    candidates: tuple[str, ...] = ()
    twins: str = ""
    is_exchanged: bool = False
    drift: tuple[str, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
