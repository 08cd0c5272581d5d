"""The box that a command is about: its folder, and the running agent's answers, if one runs."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from agent.core.errors import CommandError, PolesideError

CONFIG = Path("/etc/poleside/poleside.toml")
DATA_DIR = Path("/var/lib/poleside")
_QUIET_S = 20.0  # a link report this old was left by an agent that runs no more
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Box:
    """`config` is the settings file where it is known."""

    data_dir: Path
    config: Path | None = None

    def is_running(self) -> bool:
        """Say whether an agent worked here within the last seconds."""
        from agent.core.clock import SystemClock
        from agent.uplink.link_report import read_report

        report = read_report(self.data_dir / "run")
        now = SystemClock().utc_now()
        return report is not None and (now - report.t).total_seconds() < _QUIET_S

    def ask(self, question: Any, kind: type[T]) -> T:
        """Return the running agent's answer. Raises `CommandError` counter.closed without one."""
        from agent.commands import questions
        from agent.core.clock import SystemClock

        if not self.is_running():
            raise CommandError(
                "counter.closed",
                f"No agent runs in {self.data_dir}.",
                hint="Start it (`systemctl start poleside`), or give the right --data-dir.",
            )
        answer = asyncio.run(questions.ask(self.data_dir / "run", question, SystemClock()))
        return msgspec.json.decode(answer, type=kind)

    def ask_if_running(self, question: Any, kind: type[T]) -> T | None:
        """Return the answer, None when no agent gives one."""
        with suppress(CommandError):
            return self.ask(question, kind)
        return None


def box_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--config` and `--data-dir`; the command gets `box`, a `Box`."""
    from functools import wraps

    @wraps(command)
    def wrapped(*args: Any, config: Path | None, data_dir: Path | None, **options: Any) -> None:
        return command(*args, box=box_of(config, data_dir), **options)

    path = click.Path(path_type=Path)
    wrapped = click.option(
        "--data-dir", type=path, help=f"The agent's data folder; else as set, or {DATA_DIR}."
    )(wrapped)
    return click.option("--config", type=path, help="The box's settings file.")(wrapped)


def box_of(config: Path | None, data_dir: Path | None) -> Box:
    """Return the box that is meant; the settings file says where its data lies."""
    from agent.app.settings_on_disk import read_to_start
    from agent.settings.load import data_dir_of, validate

    if data_dir is not None:
        return Box(data_dir, config)
    if config is not None:
        return Box(data_dir_of(validate(read_to_start(config).table)), config)
    with suppress(PolesideError):
        return Box(data_dir_of(validate(read_to_start(CONFIG).table)), CONFIG)
    return Box(DATA_DIR)
