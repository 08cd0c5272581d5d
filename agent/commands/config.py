"""`config`: one change of settings by order, all or nothing; see `agent.commands.desired`."""

from collections.abc import Awaitable, Callable

from agent.commands.desired import DesiredConfig
from agent.contract.commands import Command, Config
from agent.core.errors import CommandError, SettingsError


class ConfigHandler:
    """Lays the order's patch over what is in effect."""

    def __init__(self, desired: DesiredConfig) -> None:
        self._desired = desired

    async def __call__(
        self, command: Command, _progress: Callable[[str], Awaitable[object]]
    ) -> dict[str, object]:
        if not isinstance(command.args, Config):
            raise CommandError("command.wrong_handler", f"{command.op} changes no settings.")
        try:
            change = await self._desired.patch(command.args.patch, command.by)
        except SettingsError as error:
            raise CommandError(error.code, error.message, hint=error.hint) from error
        return {
            "changed": sorted(change.sections),
            "retuned": list(change.retuned),
            "restarted": [*change.restarted, *change.added],
            "removed": list(change.removed),
        }
