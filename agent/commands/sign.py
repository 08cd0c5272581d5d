"""`sign`: a line of text on an LED sign of the pole, for a time and never longer than allowed."""

from typing import Protocol

from agent.commands.registry import Progress
from agent.contract.commands import Command
from agent.contract.scene_args import SignText
from agent.core.errors import CommandError


class Signs(Protocol):
    """Whoever can write on the signs that the settings list."""

    async def show(self, sign_id: str, text: str, for_s: float | None) -> float: ...


class SignHandler:
    """Done again after a restart it only begins anew: the time is bounded either way."""

    def __init__(self, signs: Signs) -> None:
        self._signs = signs

    async def __call__(self, command: Command, _: Progress) -> dict[str, object]:
        args = command.args
        if not isinstance(args, SignText):
            raise CommandError("command.wrong_handler", f"{command.op} writes on no sign.")
        left_s = await self._signs.show(args.sign_id, args.text, args.for_s)
        return {"sign_id": args.sign_id, "left_s": left_s}
