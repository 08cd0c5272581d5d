"""Who carries a push's pictures to a relay: RTSP(S) or RTMP(S), by the relay's address."""

from collections.abc import Callable
from typing import Protocol

from agent.messages.push import StartPush
from agent.push.live_tap import Copied, Run
from agent.push.nal_units import Coding
from agent.push.rtmp_publisher import RtmpPublisher
from agent.push.rtsp_publisher import RtspPublisher


class Following(Protocol):
    """What a push takes its packets from; the run it follows may end."""

    @property
    def run_is_over(self) -> bool: ...

    @property
    def stalls(self) -> int: ...

    def get(self, within_s: float) -> Copied | None: ...

    def behind_s(self) -> float: ...


class Publisher(Protocol):
    """One connection to a relay. Used by one thread."""

    @property
    def stalls(self) -> int:
        """How often the relay took nothing for a second."""
        ...

    def picture(self, run: Run, packet: Copied) -> int:
        """Send one picture; return its bytes on the line. Raises `PushError`."""
        ...

    def end(self) -> None:
        """Say good-bye and close; nothing that waits to be sent goes out later."""
        ...

    def cut(self) -> None:
        """Close at once."""
        ...


def is_rtmp(url: str) -> bool:
    """Say which way a relay's address is spoken to."""
    return url.startswith("rtmp")


def publish(
    order: StartPush, coding: Coding, may_go_on: Callable[[], bool], send_bytes: int = 0
) -> Publisher:
    """Connect to the order's relay and begin. Raises `PushError`."""
    kind = RtmpPublisher if is_rtmp(order.url) else RtspPublisher
    return kind(order.url, order.token, coding, may_go_on, order.ca, send_bytes)
