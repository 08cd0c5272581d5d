"""What a clip lacks of the time that was asked for: found, and said by commands that make one."""

from __future__ import annotations

from collections.abc import Iterable
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
    from agent.buffer.reading import camera_folder, gaps
    from agent.clips.holes import Hole, joined
    from agent.core.clock import SystemClock

    until = min(until, SystemClock().utc_now())
    found = [
        Hole(max(one.since, since), min(one.until or until, until), one.cause)
        for one in gaps(camera_folder(data_dir, camera), since, until, stream)
    ]
    return joined([*not_given, *(one for one in found if one.since < one.until)])


def as_facts(lacks: Iterable[Hole]) -> list[dict[str, str]]:
    """Return them as `--json` tells them."""
    return [
        {"from": one.since.isoformat(), "to": one.until.isoformat(), "cause": one.cause}
        for one in lacks
    ]


def say(lacks: Iterable[Hole], not_given: Iterable[Hole]) -> None:
    """Say them; what the disk did not give where errors go."""
    failed = set(not_given)
    for one in lacks:
        span = f"{one.since:%Y-%m-%d %H:%M:%S} to {one.until:%H:%M:%S} UTC"
        click.echo(f"It lacks {span}: {one.cause}", err=one in failed)
