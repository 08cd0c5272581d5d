"""`identify`: which of the boxes in a row is it? Its lamp blinks fast."""

from collections.abc import Callable

from agent.commands.registry import Handler, Progress
from agent.contract.commands import Command, Identify


def identify(blink: Callable[[float], bool]) -> Handler:
    """Return the handler; `blink` for seconds, False where there is no lamp."""

    async def handle(command: Command, _: Progress) -> dict[str, object]:
        assert isinstance(command.args, Identify)  # noqa: S101 - registered for this one
        return {"has_lamp": blink(command.args.for_s)}

    return handle
