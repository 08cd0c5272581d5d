"""`poleside link`: the way to the center, while the agent runs or from a taken disk."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import closing
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.core.errors import StorageError
from agent.local.cli.spoken import lang_option, said_in, words_of
from agent.local.cli.table import padded, padded_left

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.contract.telemetry import DataSample
    from agent.uplink.link_report import LinkReport

OLD_S = 20.0
STREAM_NAMES = {"a": "alarms", "e": "events", "t": "roll-ups", "u": "audit"}
_OUTBOX = ("next", "acked", "waiting", "bytes", "evicted", "kept")
_WIDTHS = (8, 8, 8, 10, 8, 9)


def _data_options(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")(command)
    command = lang_option(command)
    folder = click.Path(path_type=Path, file_okay=False)
    return click.option("--data-dir", type=folder, default=Path("/var/lib/poleside"))(command)


@click.group()
def link() -> None:
    """See how the box and its center get on, test the way, send things again."""


@link.command()
@_data_options
def status(data_dir: Path, lang: str, *, as_json: bool) -> None:
    """Say whether the center is reached, and what waits for it."""
    import msgspec

    from agent.commands.config_state import state_in

    report = _fresh_report(data_dir)
    streams, config = read_box(data_dir, _streams), read_box(data_dir, state_in)
    if as_json:
        answer = {"link": report, "outbox": streams, "config": config}
        click.echo(msgspec.json.encode(answer).decode())
        return
    words = words_of(lang)
    for line in _link_lines(report, lang):
        click.echo(line)
    waiting = sum(stream.waiting for stream in streams)
    size = sum(stream.waiting_bytes for stream in streams)
    click.echo(_row("outbox", words["link.waits"].format(n=waiting, bytes=size), words))
    became = words[f"link.config.{config.status.value}"]
    said = words["link.version"].format(version=config.version, status=became)
    click.echo(_row("settings", said, words))
    for problem in config.errors:
        why = said_in(lang, problem.message, problem.code)
        click.echo(_row("", f"{problem.path}: {why} [{problem.code}]", words))


@link.command()
@click.option(
    "--config", required=True, type=click.Path(path_type=Path, dir_okay=False), help="TOML file."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--connect", is_flag=True, help="Log in even if that cuts off the running agent.")
@lang_option
def test(config: Path, lang: str, *, as_json: bool, connect: bool) -> None:
    """Try the broker of a settings file: name, login, reading, writing. 1 when something fails.

    While the agent is connected its own word is taken for what needs a login.
    """
    import msgspec

    from agent.app.settings_on_disk import stored_over
    from agent.contract.topics import BoxAddress
    from agent.enrol.identity import present_broker
    from agent.local.cli.present_settings import settings_of
    from agent.settings.load import data_dir_of
    from agent.uplink.probe import probe, probe_beside

    stored = stored_over(config)
    settings = settings_of(stored)
    address, data_dir = BoxAddress(settings.site, settings.box), data_dir_of(settings)
    broker = settings.broker
    if not stored.is_refused:  # else that identity is another box's, too
        broker = present_broker(data_dir, broker)
    report = None if connect else _fresh_report(data_dir)
    words = words_of(lang)

    async def run() -> bool:
        good, is_beside = True, report is not None and report.connected
        steps = probe_beside(broker, report) if report and is_beside else probe(broker, address)
        async for step in steps:
            good = good and step.ok is not False
            if as_json:
                click.echo(msgspec.json.encode(step).decode())
                continue
            mark = padded(words[f"link.mark.{str(step.ok).lower()}"], 7)
            name = padded(words[f"link.step.{step.name}"], 10)
            click.echo(f"{mark} {name} {said_in(lang, step.text)}")
            if step.hint and step.ok is not True:
                hint = words["to-do"].format(hint=said_in(lang, step.hint))
                click.echo(f"{'':19}{hint}")
        return good

    sys.exit(0 if asyncio.run(run()) else 1)


@link.command()
@_data_options
def outbox(data_dir: Path, lang: str, *, as_json: bool) -> None:
    """Count what each stream holds."""
    import msgspec

    found = read_box(data_dir, _streams)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    words = words_of(lang)

    def line(stream: str, numbers: tuple[object, ...], oldest: str) -> str:
        cells = (padded_left(str(n), wide) for n, wide in zip(numbers, _WIDTHS, strict=True))
        return f"{padded(stream, 9)} {' '.join(cells)}  {oldest}"

    head = tuple(words[f"link.col.{name}"] for name in _OUTBOX)
    click.echo(line(words["link.col.stream"], head, words["link.col.oldest"]))
    for s in found:
        numbers = (s.next_seq, s.acked, s.waiting, s.waiting_bytes, s.evicted_total)
        oldest = s.oldest_waiting.isoformat(timespec="seconds") if s.oldest_waiting else "-"
        name = words[f"link.stream.{s.stream}"]
        click.echo(line(name, (*numbers, s.kept_from or "-"), oldest))


@link.command()
@_data_options
@click.option("--stream", type=click.Choice(list(STREAM_NAMES)), default="e", show_default=True)
@click.option("--from", "since", required=True, help="First number, or an ISO 8601 time.")
@click.option("--to", "until", required=True, help="Last number, or an ISO 8601 time.")
def replay(
    data_dir: Path, stream: str, since: str, until: str, lang: str, *, as_json: bool
) -> None:
    """Have the running agent send acknowledged records once more, marked as historical."""
    import msgspec

    from agent.commands.counter import CounterOrder, ask
    from agent.contract.commands import ReplyState
    from agent.core.clock import SystemClock

    order = msgspec.convert(
        {"args": _replay_args(stream, since, until), "user": getuser()}, CounterOrder
    )
    reply = asyncio.run(ask(data_dir / "run", order, SystemClock()))
    if as_json:
        click.echo(msgspec.json.encode(reply).decode())
    elif reply.state is ReplyState.DONE:
        queued = (reply.result or {}).get("queued")
        click.echo(words_of(lang)["link.replayed"].format(n=queued))
    else:
        click.echo(f"[{reply.code}] {reply.message} {reply.hint}", err=True)
    sys.exit(0 if reply.state is ReplyState.DONE else 1)


def _replay_args(stream: str, since: str, until: str) -> dict[str, Any]:
    from agent.local.cli.time_range import time_range

    args: dict[str, Any] = {"op": "replay", "stream": stream}
    if since.isdigit() and until.isdigit():
        return args | {"from_seq": max(1, int(since)), "to_seq": max(1, int(until))}
    begin, end = time_range(since, until, None)
    return args | {"start_at": begin.isoformat(), "end_at": end.isoformat()}


def _fresh_report(data_dir: Path) -> LinkReport | None:
    """Return how the link of a running agent does; None when none runs."""
    from agent.core.clock import SystemClock
    from agent.uplink.link_report import read_report

    report = read_report(data_dir / "run")
    if report is None or (SystemClock().utc_now() - report.t).total_seconds() > OLD_S:
        return None
    return report


def _row(name: str, text: str, words: Mapping[str, str]) -> str:
    return f"{padded(words[f'link.row.{name}'] if name else '', 9)} {text}"


def _link_lines(report: LinkReport | None, lang: str) -> list[str]:
    words = words_of(lang)
    if report is None:
        return [_row("link", words["link.no-agent"], words)]
    since = report.since.isoformat(timespec="seconds")
    if not report.connected:
        said = words["link.away-since"].format(since=since)
        return [_row("link", said, words), _row("", said_in(lang, report.error), words)]
    how = f"MQTT {report.mqtt}, {report.line}" if report.line else f"MQTT {report.mqtt}"
    said = words["link.since"].format(endpoint=report.endpoint, since=since, how=how)
    lines = [_row("link", said, words)]
    if report.refused:
        lines.append(_row("", words["link.refuses"].format(why=report.refused), words))
    if report.has_twin:
        lines.append(_row("", words["link.twin"], words))
    lines.append(_row("center", words[f"link.center.{str(report.center_online).lower()}"], words))
    if report.unheard_s >= 1:
        lines.append(_row("", words["link.unheard"].format(s=f"{report.unheard_s:.0f}"), words))
    return lines if report.data is None else [*lines, *_data_lines(report.data, words)]


def _data_lines(data: DataSample, words: Mapping[str, str]) -> list[str]:
    limit = words["link.no-limit"]
    if data.limit_bytes is not None:
        limit = words["link.limit"].format(mb=f"{data.limit_bytes / 1e6:.0f}")
    used = f"{data.used_bytes / 1e6:.1f}"
    mode = words.get(f"link.mode.{data.mode}", data.mode)
    said = words["link.month"].format(month=data.month, used=used, limit=limit, mode=mode)
    held = words["link.held"].format(pictures=data.pictures_held, samples=data.samples_held)
    return [_row("data", said, words), _row("", held, words)]


def _streams(connection: Any) -> Any:
    from agent.outbox.reading import streams

    return streams(connection)


def read_box(data_dir: Path, question: Callable[[Any], Any]) -> Any:
    """Ask the box's database, read-only."""
    import sqlite3

    from agent.core.sqlite import open_reader

    with closing(open_reader(data_dir / "box.db")) as connection:
        try:
            return question(connection)
        except sqlite3.DatabaseError as error:
            raise StorageError(
                "storage.database",
                f"{json.dumps(str(data_dir / 'box.db'))} can't be read: {error}.",
                hint="Is it the data folder of an agent of this version? Start the agent once.",
            ) from error
