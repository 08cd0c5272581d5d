"""`config`: the center's desired changes, validated whole, stored, then applied by difference."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from agent.contract.commands import Command, Config
from agent.core.errors import CommandError, SettingsError
from agent.settings.diff import SettingsDiff, diff
from agent.settings.load import (
    merge_patch,
    read_desired,
    refuse_undesirable,
    with_desired,
    write_desired,
)
from agent.settings.model import Settings

Apply = Callable[[Settings, SettingsDiff], Awaitable[None]]


class ConfigHandler:
    """Keeps the present settings; `apply` hands a change to the processes it touches."""

    def __init__(
        self, table: dict[str, Any], settings: Settings, data_dir: Path, apply: Apply
    ) -> None:
        self._table, self._data_dir, self._apply = table, data_dir, apply
        self.settings = settings

    async def __call__(
        self, command: Command, _progress: Callable[[str], Awaitable[None]]
    ) -> dict[str, object]:
        if not isinstance(command.args, Config):
            raise CommandError("command.wrong_handler", f"{command.op} changes no settings.")
        patch = command.args.patch
        try:
            refuse_undesirable(patch)
            desired = merge_patch(read_desired(self._data_dir), patch)
            new = with_desired(self._table, desired)
        except SettingsError as error:
            raise CommandError(error.code, error.message, hint=error.hint) from error
        change = diff(self.settings, new)
        await asyncio.to_thread(write_desired, self._data_dir, desired)
        self.settings = new
        await self._apply(new, change)
        return {
            "changed": sorted(change.sections),
            "retuned": list(change.retuned),
            "restarted": [*change.restarted, *change.added],
            "removed": list(change.removed),
        }
