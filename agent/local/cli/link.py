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

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.contract.telemetry import DataSample
    from agent.uplink.link_report import LinkReport

OLD_S = 20.0
STREAM_NAMES = {"a": "alarms", "e": "events", "t": "roll-ups", "u": "audit"}
_MARKS = {True: "ok     ", False: "FAILED ", None: "unsure "}


def _data_options(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")(command)
    folder = click.Path(path_type=Path, file_okay=False)
    return click.option("--data-dir", type=folder, default=Path("/var/lib/poleside"))(command)


@click.group()
def link() -> None:
    """See how the box and its center get on, test the way, send things again."""


@link.command()
@_data_options
def status(data_dir: Path, *, as_json: bool) -> None:
    """Say whether the center is reached, and what waits for it."""
    import msgspec

    from agent.commands.config_state import state_in

    report = _fresh_report(data_dir)
    streams, config = read_box(data_dir, _streams), read_box(data_dir, state_in)
    if as_json:
        answer = {"link": report, "outbox": streams, "config": config}
        click.echo(msgspec.json.encode(answer).decode())
        return
    for line in _link_lines(report):
        click.echo(line)
    waiting = sum(stream.waiting for stream in streams)
    click.echo(f"outbox    {waiting} waiting, {sum(s.waiting_bytes for s in streams)} bytes")
    click.echo(f"settings  version {config.version} of the center: {config.status.value}")
    for problem in config.errors:
        click.echo(f"          {problem.path}: {problem.message} [{problem.code}]")


@link.command()
@click.option(
    "--config", required=True, type=click.Path(path_type=Path, dir_okay=False), help="TOML file."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--connect", is_flag=True, help="Log in even if that cuts off the running agent.")
def test(config: Path, *, as_json: bool, connect: bool) -> None:
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

    async def run() -> bool:
        good, is_beside = True, report is not None and report.connected
        steps = probe_beside(broker, report) if report and is_beside else probe(broker, address)
        async for step in steps:
            good = good and step.ok is not False
            if as_json:
                click.echo(msgspec.json.encode(step).decode())
                continue
            click.echo(f"{_MARKS[step.ok]} {step.name:10} {step.text}")
            if step.hint and step.ok is not True:
                click.echo(f"{'':19}What to do: {step.hint}")
        return good

    sys.exit(0 if asyncio.run(run()) else 1)


@link.command()
@_data_options
def outbox(data_dir: Path, *, as_json: bool) -> None:
    """Count what each stream holds."""
    import msgspec

    found = read_box(data_dir, _streams)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    head = ("stream", "next", "acked", "waiting", "bytes", "given up", "kept from", "oldest")
    click.echo("{:9} {:>8} {:>8} {:>8} {:>10} {:>8} {:>9}  {}".format(*head))
    for s in found:
        oldest = s.oldest_waiting.isoformat(timespec="seconds") if s.oldest_waiting else "-"
        click.echo(
            f"{STREAM_NAMES[s.stream]:9} {s.next_seq:8} {s.acked:8} {s.waiting:8}"
            f" {s.waiting_bytes:10} {s.evicted_total:8} {s.kept_from or '-':>9}  {oldest}"
        )


@link.command()
@_data_options
@click.option("--stream", type=click.Choice(list(STREAM_NAMES)), default="e", show_default=True)
@click.option("--from", "since", required=True, help="First number, or an ISO 8601 time.")
@click.option("--to", "until", required=True, help="Last number, or an ISO 8601 time.")
def replay(data_dir: Path, stream: str, since: str, until: str, *, as_json: bool) -> None:
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
        click.echo(f"{(reply.result or {}).get('queued')} records wait to be sent once more.")
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


def _link_lines(report: LinkReport | None) -> list[str]:
    if report is None:
        return ["link      the agent does not run here, or has just started"]
    since = report.since.isoformat(timespec="seconds")
    if not report.connected:
        return [f"link      not connected since {since}", f"          {report.error}"]
    how = f"MQTT {report.mqtt}, {report.line}" if report.line else f"MQTT {report.mqtt}"
    lines = [f"link      connected to {report.endpoint} since {since}, {how}"]
    if report.refused:
        lines.append(f"          the broker refuses what this box sends: {report.refused}")
    if report.has_twin:
        lines.append("          another box uses this id: the broker cuts them off in turn")
    center = "there" if report.center_online else "away; nothing is sent"
    lines.append(f"center    {center}")
    if report.unheard_s >= 1:
        lines.append(f"          has acknowledged nothing for {report.unheard_s:.0f} s")
    return lines if report.data is None else [*lines, *_data_lines(report.data)]


def _data_lines(data: DataSample) -> list[str]:
    limit = "no limit" if data.limit_bytes is None else f"of {data.limit_bytes / 1e6:.0f}"
    held = f"{data.pictures_held} thumbnails and {data.samples_held} health samples held back"
    return [
        f"data      {data.month}: {data.used_bytes / 1e6:.1f} MB {limit}, {data.mode}",
        f"          {held}",
    ]


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
