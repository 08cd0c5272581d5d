"""`sign`: a line of text on an LED sign of the pole, for a time and never longer than allowed."""

from typing import Protocol

from agent.commands.registry import Progress
from agent.contract.commands import Command
from agent.contract.scene_args import SignText
from agent.core.errors import CommandError


class Signs(Protocol):
    """Whoever can write on the signs that the settings list."""

    async def show(self, sign_id: str, text: str, for_s: float | None) -> float: ...

    def darken(self, sign_id: str) -> None: ...


class SignHandler:
    """Never done again after a restart, which makes all dark: the words may be out of date."""

    def __init__(self, signs: Signs) -> None:
        self._signs = signs
        self._grants: dict[str, str] = {}  # by sign: on which grant it shows something

    async def __call__(self, command: Command, _: Progress) -> dict[str, object]:
        args = command.args
        if not isinstance(args, SignText):
            raise CommandError("command.wrong_handler", f"{command.op} writes on no sign.")
        before = self._grants.get(args.sign_id, "")
        self._grants[args.sign_id] = command.grant.id if command.grant else ""
        try:
            left_s = await self._signs.show(args.sign_id, args.text, args.for_s)
        except CommandError:
            self._grants[args.sign_id] = before
            raise
        finally:
            if args.sign_id not in self._grants:  # the grant has ended meanwhile
                self._signs.darken(args.sign_id)
        return {"sign_id": args.sign_id, "left_s": left_s}

    def grant_ended(self, grant_id: str) -> None:
        """Darken what shows something on a grant."""
        for sign_id, rests_on in tuple(self._grants.items()):
            if rests_on == grant_id:
                del self._grants[sign_id]
                self._signs.darken(sign_id)
