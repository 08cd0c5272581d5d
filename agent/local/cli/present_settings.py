"""The settings a command goes by: those the agent would take, of another box's disk nothing."""

from pathlib import Path

import click

from agent.app.settings_on_disk import StoredSettings, stored_over
from agent.settings.model import Settings


def present(config: Path) -> Settings:
    """Return what counts of the file at `config` and of its disk. Raises `SettingsError`."""
    return settings_of(stored_over(config))


def settings_of(stored: StoredSettings) -> Settings:
    """Return what counts, and say on stderr that of another box's disk nothing does."""
    if not stored.is_refused:
        return stored.read()
    click.echo(f"{stored.refusal.message} {stored.refusal.hint}", err=True)
    return stored.file_alone
