"""What a clip lacks of the time that was asked for: found, and said by commands that make one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from agent.clips.holes import Hole

WITH_HOLES = 3  # the exit code of a clip that was made and lacks what should be on the disk


def lacks_of(
    not_given: Iterable[Hole],
    camera: str,
    stream: str,
    since: datetime,
    until: datetime,
    data_dir: Path,
) -> tuple[Hole, ...]:
    """Return all that a clip lacks: what the disk did not give, and what was never recorded."""
    from agent.buffer.reading import camera_folder
    from agent.commands import lacks
    from agent.core.clock import SystemClock

    folder, now = camera_folder(data_dir, camera), SystemClock().utc_now()
    return lacks.lacks_of(not_given, folder, stream, since, until, now)


def as_facts(lacks: Iterable[Hole]) -> list[dict[str, str]]:
    """Return them as `--json` tells them."""
    from agent.commands import lacks as found

    return found.as_facts(lacks)


def is_not_given(facts: Iterable[dict[str, str]]) -> bool:
    """Say whether `facts`, as `as_facts` tells them, name what should be on the disk."""
    from agent.commands.lacks import NOT_GIVEN

    return any(one["cause"] in NOT_GIVEN for one in facts)


def say_facts(facts: Sequence[dict[str, str]]) -> None:
    """Say what another command told as `as_facts` does, as `say` does."""
    from agent.clips.holes import Hole

    lacks = [
        Hole(datetime.fromisoformat(one["from"]), datetime.fromisoformat(one["to"]), one["cause"])
        for one in facts
    ]
    say(lacks, [lack for lack, one in zip(lacks, facts, strict=True) if is_not_given([one])])


def say(lacks: Iterable[Hole], not_given: Iterable[Hole], *, is_aside: bool = False) -> None:
    """Say them; what the disk did not give where errors go, with `is_aside` the others, too."""
    failed = set(not_given)
    for one in lacks:
        span = f"{one.since:%Y-%m-%d %H:%M:%S} to {one.until:%H:%M:%S} UTC"
        click.echo(f"It lacks {span}: {one.cause}", err=is_aside or one in failed)
