"""`relay`: a relay output of a camera is switched, for a time and never longer than allowed."""

import asyncio
from collections.abc import Callable

from agent.cameras.relay_guard import RelayGuard
from agent.commands.registry import Progress
from agent.contract.commands import Command, Relay
from agent.core.errors import CommandError


class RelayHandler:
    """Done again after a restart it only begins anew: the time is bounded either way."""

    def __init__(self, guard_of: Callable[[str], RelayGuard]) -> None:
        self._guard_of = guard_of

    async def __call__(self, command: Command, _: Progress) -> dict[str, object]:
        args = command.args
        if not isinstance(args, Relay):
            raise CommandError("command.wrong_handler", f"{command.op} switches no relay.")
        guard = self._guard_of(args.camera_id)
        if args.on:
            await asyncio.to_thread(guard.pulse, args.relay, args.for_s)
        else:
            await asyncio.to_thread(guard.release, args.relay)
        left_s = guard.on_for_s.get(args.relay, 0.0)
        return {"camera_id": args.camera_id, "relay": args.relay, "left_s": round(left_s, 1)}
