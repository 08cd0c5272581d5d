"""`output`: an output of the pole is switched, for a time and never longer than allowed."""

from typing import Protocol

from agent.commands.registry import Progress
from agent.contract.commands import Command, Output
from agent.core.errors import CommandError


class Switched(Protocol):
    """How an output is after it was switched."""

    @property
    def is_on(self) -> bool | None: ...

    @property
    def left_s(self) -> float | None: ...


class Switches(Protocol):
    """Whoever can switch the outputs that the settings list."""

    def switch(self, output_id: str, for_s: float | None, *, on: bool) -> Switched: ...

    def make_safe(self, output_id: str) -> None: ...


class OutputHandler:
    """Never done again after a restart, which makes all safe: nobody wants a siren an hour late."""

    def __init__(self, outputs: Switches) -> None:
        self._outputs = outputs
        self._grants: dict[str, str] = {}  # by output: on which grant it was switched

    async def __call__(self, command: Command, _: Progress) -> dict[str, object]:
        args = command.args
        if not isinstance(args, Output):
            raise CommandError("command.wrong_handler", f"{command.op} switches no output.")
        state = self._outputs.switch(args.output_id, args.for_s, on=args.on)
        self._grants[args.output_id] = command.grant.id if command.grant else ""
        return {"output_id": args.output_id, "is_on": state.is_on, "left_s": state.left_s}

    def grant_ended(self, grant_id: str) -> None:
        """Make safe what was switched on a grant."""
        for output_id, rests_on in tuple(self._grants.items()):
            if rests_on == grant_id:
                del self._grants[output_id]
                self._outputs.make_safe(output_id)
