"""`replay`: what the center has acknowledged, once more, for a center that lost it."""

from agent.commands.registry import Handler, Progress
from agent.contract.commands import Command, Replay
from agent.core.errors import CommandError, StorageError
from agent.outbox.replay import Range
from agent.outbox.writer import Outbox


def replay(outbox: Outbox) -> Handler:
    """Return the handler."""

    async def handle(command: Command, _: Progress) -> dict[str, object]:
        args = command.args
        if not isinstance(args, Replay):
            raise CommandError("command.wrong_handler", f"{command.op} replays nothing.")
        wanted = Range(args.stream, args.from_seq or 1, args.to_seq, args.start_at, args.end_at)
        try:
            return {"queued": await outbox.replay(wanted)}
        except StorageError as error:
            raise CommandError(error.code, error.message, hint=error.hint) from error

    return handle
