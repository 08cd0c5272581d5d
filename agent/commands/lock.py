"""`lock` and `unlock`: recordings kept for an incident, on a person's order and for a time."""

from typing import Protocol

from agent.commands.registry import Progress
from agent.contract.commands import Command, Lock, Unlock
from agent.core.errors import CommandError
from agent.messages import locking
from agent.messages.locking import LockOrder, LockReply


class LockOrders(Protocol):
    """Whoever can have a camera's worker lock and unlock."""

    async def order_lock(self, camera_id: str, order: LockOrder) -> LockReply: ...


class LockHandler:
    """The command's own id is the lock's: the same order again is the same lock."""

    def __init__(self, workers: LockOrders) -> None:
        self._workers = workers

    async def __call__(self, command: Command, _: Progress) -> dict[str, object]:
        args = command.args
        if isinstance(args, Lock):
            order: LockOrder = locking.LockSpan(
                request_id=command.id,
                lock_id=command.id,
                since=args.start_at,
                until=args.end_at,
                incident_id=args.incident_id or command.by.case or command.id,
                approver=command.by.user,
                expires_at=args.expires_at,
            )
            result: dict[str, object] = {"lock_id": command.id, "expires_at": args.expires_at}
        elif isinstance(args, Unlock):
            order = locking.Unlock(request_id=command.id, lock_id=args.lock_id, by=command.by.user)
            result = {"lock_id": args.lock_id}
        else:
            raise CommandError("command.wrong_handler", f"{command.op} is no lock.")
        reply = await self._workers.order_lock(args.camera_id, order)
        if reply.code:
            raise CommandError(reply.code, reply.message, hint=reply.hint)
        return {"camera_id": args.camera_id, **result}
