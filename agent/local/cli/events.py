"""`poleside events`: what the box raised, newest last; `--follow` goes on as it happens."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import click

from agent.local.cli.box_in_reach import Box, box_options
from agent.local.cli.spoken import lang_option, words_of
from agent.local.cli.table import echo_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.events.reading import Incident

_LOOK_EVERY_S = 1.0
_MOST = 2000


@click.command(epilog="Exit code: 0; 1 when the box's database can't be read.")
@box_options
@click.option("--camera", help="Of this camera alone.")
@click.option("--kind", help="Of this kind alone, such as intrusion.")
@click.option("--grade", help="Of this grade alone, such as alarm-grade.")
@click.option("--open", "is_open", is_flag=True, help="Those that still last.")
@click.option("--last", "limit", type=click.IntRange(1, _MOST), default=20, show_default=True)
@click.option("--follow", is_flag=True, help="Go on as they come, until Ctrl-C.")
@click.option("--count", type=click.IntRange(min=1), help="With --follow: end after so many.")
@lang_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def events(
    box: Box,
    camera: str | None,
    kind: str | None,
    grade: str | None,
    limit: int,
    count: int | None,
    lang: str,
    *,
    is_open: bool,
    follow: bool,
    as_json: bool,
) -> None:
    """List the newest events; with --follow tell each as it begins or ends.

    \b
    poleside events --camera gate --kind intrusion
    poleside events --follow --json
    """

    def is_wanted(one: Incident) -> bool:
        return (
            camera in (None, one.camera_id)
            and kind in (None, one.kind)
            and grade in (None, one.grade)
            and not (is_open and one.ended_at)
        )

    found = [one for one in _latest(box) if is_wanted(one)][:limit]
    show = partial(_show, lang, as_json=as_json)
    show(found[::-1], has_head=True)
    if follow:
        asyncio.run(_follow(box, is_wanted, count, show))


async def _follow(
    box: Box, is_wanted: Callable[[Incident], bool], count: int | None, show: Callable[..., None]
) -> None:
    from agent.core.clock import SystemClock

    clock, told = SystemClock(), set(_stages(_latest(box)))
    left = count
    while left is None or left > 0:
        await clock.sleep_s(_LOOK_EVERY_S)
        fresh = [
            one
            for one in reversed(await asyncio.to_thread(_latest, box))
            if (one.event_id, one.ended_at is None) not in told
        ]
        told.update(_stages(fresh))
        wanted = [one for one in fresh if is_wanted(one)][:left]
        if wanted:
            show(wanted, has_head=False)
            left = None if left is None else left - len(wanted)


def _stages(found: list[Incident]) -> list[tuple[str, bool]]:
    return [(one.event_id, one.ended_at is None) for one in found]


def _latest(box: Box) -> list[Incident]:
    import sqlite3

    from agent.core.errors import StorageError
    from agent.core.sqlite import open_reader
    from agent.events import reading

    with closing(open_reader(box.data_dir / "box.db")) as connection:
        try:
            return reading.latest(connection, _MOST)
        except sqlite3.DatabaseError as error:
            raise StorageError(
                "storage.database",
                f"{box.data_dir / 'box.db'} can't be read: {error}.",
                hint="Start the agent once, and give its data folder.",
            ) from error


def _show(lang: str, found: list[Incident], *, as_json: bool, has_head: bool) -> None:
    import msgspec

    if as_json:
        for one in found:
            click.echo(msgspec.json.encode(one).decode())
        return
    words = words_of(lang)
    names = words if lang != "en" else {}  # in English as `--kind` and `--grade` take them
    rows = [_row(one, words, names) for one in found]
    if has_head:
        columns = ("began", "lasted", "camera", "kind", "grade", "what", "id")
        echo_table([words[f"col.{name}"] for name in columns], rows, words["none"])
        return
    for row in rows:
        click.echo("  ".join(str(cell or "-") for cell in row))


def _row(one: Incident, words: Mapping[str, str], names: Mapping[str, str]) -> tuple[object, ...]:
    lasted = words["open"]
    if one.ended_at is not None:
        lasted = f"{(one.ended_at - one.started_at) // timedelta(seconds=1)}{words['unit.s']}"
    what = " ".join(names.get(f"label.{label}", label) for label in one.labels) or one.detail
    return (
        f"{one.started_at:%Y-%m-%d %H:%M:%S}",
        lasted,
        one.camera_id,
        names.get(f"kind.{one.kind}", one.kind),
        names.get(f"grade.{one.grade}", one.grade),
        what,
        one.event_id,
    )
