"""`update`: a new version of the box's image, ordered, given up, or asked after."""

from typing import Protocol

import msgspec

from agent.commands.registry import Progress
from agent.contract.commands import Command
from agent.contract.updates import Update, UpdateInfo
from agent.core.errors import CommandError


class UpdateOrders(Protocol):
    """Whoever takes an update from the order to its end."""

    async def order(self, order_id: str, by: str, order: Update) -> UpdateInfo | None: ...


class UpdateHandler:
    """Answers at once how the update stands; what becomes of it is told in `Info.update`."""

    def __init__(self, updates: UpdateOrders) -> None:
        self._updates = updates

    async def __call__(self, command: Command, _: Progress) -> dict[str, object]:
        if not isinstance(command.args, Update):
            raise CommandError("command.wrong_handler", f"{command.op} is no update.")
        told = await self._updates.order(command.id, command.by.user, command.args)
        return {"update": None if told is None else msgspec.to_builtins(told)}
