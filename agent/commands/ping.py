"""`ping`: the whole way there and back, and how the box's clock stands."""

from agent import __version__
from agent.commands.registry import Handler, Progress
from agent.contract.commands import Command
from agent.core.clock import Clock


def ping(clock: Clock) -> Handler:
    """Return the handler."""

    async def handle(_: Command, __: Progress) -> dict[str, object]:
        return {
            "time": clock.utc_now(),
            "time_quality": clock.quality(),
            "up_s": clock.monotonic_s(),
            "version": __version__,
        }

    return handle
