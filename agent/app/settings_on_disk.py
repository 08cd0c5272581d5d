"""The box's settings, and what is stored over them as far as the disk it lies on is its own.

Of another box's disk (its cameras' passwords, its broker) nothing counts and nothing is changed
until somebody takes it over: whose it is, the technician's file and the box's own memory say. The
one place that decides it, for the supervisor and the commands (`agent.local.cli.present_settings`).
"""

from pathlib import Path
from typing import Any

from agent.buffer.medium import foreign_mount, is_foreign
from agent.core.errors import SettingsError
from agent.settings import bootstrap
from agent.settings.bootstrap import Start
from agent.settings.in_effect import in_effect, set_damaged_aside
from agent.settings.load import data_dir_of, read_file, validate
from agent.settings.model import Settings


def read_to_start(path: Path, data_dir: str | None = None) -> Start:
    """Return what of the file counts at a start. Raises `SettingsError`: no start with it."""
    return bootstrap.read_to_start(path, data_dir, foreign_mount=foreign_mount)


def stored_over(path: Path) -> "StoredSettings":
    """Return what lies over the file at `path`. Raises `SettingsError`: the file is not right."""
    table = read_file(path)
    return StoredSettings(table, data_dir_of(validate(table)))


class StoredSettings:
    """The layers in `data_dir` over the valid `table`. Raises `SettingsError`: it is not valid."""

    def __init__(self, table: dict[str, Any], data_dir: Path) -> None:
        self._table, self._data_dir = table, data_dir
        self.file_alone = validate(table)
        self.is_refused = self._is_foreign()

    @property
    def refusal(self) -> SettingsError:
        """What to say of a disk that `is_refused`."""
        return SettingsError(
            "settings.foreign_disk",
            f"What is stored in {self._data_dir} is another box's and does not count.",
            hint="Take the disk over at the page, or put the box's own back.",
        )

    def read(self) -> Settings:
        """Return the settings with all that fits. Raises `SettingsError`: they can't be had now."""
        if self._is_foreign():
            raise self.refusal
        return in_effect(self._table, self._data_dir).settings

    def was_taken(self) -> bool:
        """Return whether a disk refused at the last look is the box's own by now."""
        was_refused, self.is_refused = self.is_refused, self._is_foreign()
        if not was_refused or self.is_refused:
            return False
        set_damaged_aside(self._data_dir)
        return True

    def _is_foreign(self) -> bool:
        return is_foreign(self._data_dir, self.file_alone.buffer)
