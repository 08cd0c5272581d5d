"""What is stored over the technician's file, as far as the disk it lies on is the box's own.

Of another box's disk (its cameras' passwords, its broker) nothing counts and nothing is changed
until somebody takes it over: whose it is, the technician's file and the box's own memory say.
"""

from pathlib import Path
from typing import Any

from agent.buffer.medium import is_foreign
from agent.core.errors import SettingsError
from agent.settings.in_effect import in_effect, set_damaged_aside
from agent.settings.load import validate
from agent.settings.model import Settings


class StoredSettings:
    """The layers in `data_dir` over the valid `table`. Raises `SettingsError`: it is not valid."""

    def __init__(self, table: dict[str, Any], data_dir: Path) -> None:
        self._table, self._data_dir = table, data_dir
        self._file_alone = validate(table)
        self.is_refused = self._is_foreign()

    def read(self) -> Settings:
        """Return the settings with all that fits. Raises `SettingsError`: they can't be had now."""
        if self._is_foreign():
            raise SettingsError(
                "settings.foreign_disk",
                f"What is stored in {self._data_dir} is another box's and does not count.",
                hint="Take the disk over at the page, or put the box's own back.",
            )
        return in_effect(self._table, self._data_dir).settings

    def was_taken(self) -> bool:
        """Return whether a disk refused at the last look is the box's own by now."""
        was_refused, self.is_refused = self.is_refused, self._is_foreign()
        if not was_refused or self.is_refused:
            return False
        set_damaged_aside(self._data_dir)
        return True

    def _is_foreign(self) -> bool:
        return is_foreign(self._data_dir, self._file_alone.buffer)
