"""`relay`: a relay output of a camera is switched, for a time and never longer than allowed."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from agent.cameras.relay_guard import RelayGuard
from agent.commands.registry import Progress
from agent.contract.commands import Command, Relay
from agent.core.errors import CommandError, PolesideError


class RelayHandler:
    """Never done again after a restart, which makes all safe: no door opens twice."""

    def __init__(self, guard_of: Callable[[str], RelayGuard]) -> None:
        self._guard_of = guard_of
        self._grants: dict[tuple[str, str], str] = {}  # by relay: on which grant it was switched

    async def __call__(self, command: Command, _: Progress) -> dict[str, object]:
        args = command.args
        if not isinstance(args, Relay):
            raise CommandError("command.wrong_handler", f"{command.op} switches no relay.")
        guard, relay = self._guard_of(args.camera_id), (args.camera_id, args.relay)
        self._grants[relay] = command.grant.id if command.grant else ""
        if args.on:
            await asyncio.to_thread(self._pulse, guard, relay, args.for_s)
        else:
            await asyncio.to_thread(guard.release, args.relay)
        left_s = guard.on_for_s.get(args.relay, 0.0)
        return {"camera_id": args.camera_id, "relay": args.relay, "left_s": round(left_s, 1)}

    def grant_ended(self, grant_id: str) -> None:
        """Make safe what was switched on a grant."""
        for relay, rests_on in tuple(self._grants.items()):
            if rests_on == grant_id:
                del self._grants[relay]
                with suppress(CommandError):  # the camera was taken off the list: it is safe
                    self._guard_of(relay[0]).end(relay[1])

    def _pulse(self, guard: RelayGuard, relay: tuple[str, str], for_s: float) -> None:
        try:
            guard.pulse(relay[1], for_s)
        finally:
            if relay not in self._grants:  # the grant has ended meanwhile, before it was on perhaps
                with suppress(PolesideError):  # then it is tried again
                    guard.release(relay[1])
