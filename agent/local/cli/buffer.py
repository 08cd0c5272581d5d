"""`poleside buffer`: the ring of recordings, beside a running agent or on a disk taken away."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import click
import msgspec

from agent.core.clock import SystemClock
from agent.core.errors import PolesideError, SettingsError
from agent.local.cli.audited import note
from agent.local.cli.buffer_check import check
from agent.local.cli.buffer_coverage import coverage
from agent.settings.model import Settings

_data_dir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default="/var/lib/poleside",
    show_default=True,
    help="The agent's data folder, here or on a disk taken from another box.",
)
_camera = click.option("--camera", "camera_id", help="The camera's id; without it all cameras.")
_one_camera = click.option("--camera", "camera_id", required=True, help="The camera's id.")
_json = click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")
_config = click.option("--config", type=click.Path(path_type=Path), help="The settings file.")


def _plain_failure(command: Callable[..., Any]) -> Callable[..., Any]:
    """With `--json` a failure is JSON, too."""

    @wraps(command)
    def guarded(*args: Any, as_json: bool, **kwargs: Any) -> Any:
        try:
            return command(*args, as_json=as_json, **kwargs)
        except PolesideError as error:
            if not as_json:
                raise
            _print({"code": error.code, "message": error.message, "hint": error.hint})
            sys.exit(1)

    return guarded


@click.group()
def buffer() -> None:
    """Look into the ring of recordings; hold what must not go.

    \b
    poleside buffer status
    poleside buffer gaps --camera gate --last-hours 24
    poleside buffer coverage --camera gate
    poleside buffer locks add --camera gate --from 2026-11-22T02:00:00Z --to 2026-11-22T02:10:00Z \\
        --incident 2026-0417 --approver "Sgt Kim"
    poleside buffer prune --dry-run --config /etc/poleside/poleside.toml
    poleside buffer check --data-dir /mnt/taken-disk/poleside
    poleside buffer check --rebuild --data-dir /mnt/taken-disk/poleside
    """


buffer.add_command(coverage)
buffer.add_command(check)


@buffer.command()
@_data_dir
@_camera
@_json
@_plain_failure
def status(data_dir: Path, camera_id: str | None, *, as_json: bool) -> None:
    """Tell what is stored, locked, deleted and written."""
    from agent.buffer import report
    from agent.clips import stills

    folders = report.cameras_in(data_dir, camera_id)
    now = SystemClock().utc_now()
    disk = report.disk_status(folders[0])
    cameras = []
    for folder in folders:
        count, size_bytes = stills.size_of(folder)
        one = report.camera_buffer(folder, now)
        cameras.append(msgspec.structs.replace(one, stills=count, stills_bytes=size_bytes))
    if as_json:
        _print({"data_dir": str(data_dir), "disk": disk, "cameras": cameras})
        return
    medium = f", medium {disk.medium_id}" if disk.medium_id else ""
    click.echo(
        f"disk {disk.mount}{medium}: {_size(disk.free_bytes)} of {_size(disk.total_bytes)} free,"
        f" {disk.free_inodes} inodes free"
    )
    for one in cameras:
        click.echo(f"\n{one.camera_id}: {one.segments} segments, {_size(one.bytes)}")
        if one.first_at and one.last_until:
            click.echo(f"  from {_time(one.first_at)} to {_time(one.last_until)}")
        for tier in one.tiers:
            click.echo(
                f"  {tier.stream} stream, {tier.tier.replace('-', ' ')}: {tier.segments} segments,"
                f" {_size(tier.bytes)}, {_time(tier.first_at)} to {_time(tier.last_until)}"
            )
        click.echo(f"  {'a segment is open' if one.is_open else 'no segment is open'}")
        if one.open_gap:
            click.echo(f"  not recording now: {one.open_gap}")
        click.echo(
            f"  locks: {one.event_locks} event, {one.evidence_locks} evidence,"
            f" {_size(one.locked_bytes)}; {one.copied} segments copied; {one.thinned} thinned;"
            f" {one.staged} in memory"
        )
        click.echo(f"  timelapse: {one.stills} pictures, {_size(one.stills_bytes)}")
        rules = ", ".join(f"{count} by {rule}" for rule, count in one.deleted_24h.items())
        click.echo(f"  deleted in 24 h: {rules or 'nothing'}; {one.purge_records} purge records")
        click.echo(
            f"  written today: {_size(one.written_today_bytes)}, {one.flushes_today} flushes"
        )


@buffer.command()
@_data_dir
@_camera
@click.option("--from", "since", help="Start, ISO 8601; without a zone it is UTC.")
@click.option("--to", "until", help="End, ISO 8601; without it, now.")
@click.option("--last-hours", type=float, default=24.0, show_default=True)
@click.option("--stream", type=click.Choice(["main", "sub"]), default="main", show_default=True)
@_json
@_plain_failure
def gaps(
    data_dir: Path,
    camera_id: str | None,
    since: str | None,
    until: str | None,
    last_hours: float,
    stream: str,
    *,
    as_json: bool,
) -> None:
    """List the times without video and why."""
    from agent.buffer import reading, report

    to = _parse(until) if until else SystemClock().utc_now()
    begin = _parse(since) if since else to - timedelta(hours=last_hours)
    found = [
        (folder.name, gap)
        for folder in report.cameras_in(data_dir, camera_id)
        for gap in reading.gaps(folder, begin, to, stream)
    ]
    if as_json:
        facts = [{"camera_id": name} | msgspec.to_builtins(gap) for name, gap in found]
        _print({"since": begin, "until": to, "stream": stream, "gaps": facts})
        return
    for name, gap in found:
        end = _time(gap.until) if gap.until else "now"
        click.echo(f"{name}  {_time(gap.since)} to {end}  {gap.cause}")
    if not found:
        click.echo(f"No gap from {_time(begin)} to {_time(to)}.")


@buffer.group(invoke_without_command=True)
@_data_dir
@_camera
@click.option("--all", "released", is_flag=True, help="Those of the past, too.")
@_json
@click.pass_context
def locks(context: click.Context, /, **options: Any) -> None:
    """List locks; `add` and `remove` change them."""
    if context.invoked_subcommand is None:
        _list_locks(**options)


@_plain_failure
def _list_locks(data_dir: Path, camera_id: str | None, *, released: bool, as_json: bool) -> None:
    from agent.buffer import report

    found = {
        folder.name: report.locks_of(folder, released=released)
        for folder in report.cameras_in(data_dir, camera_id)
    }
    if as_json:
        _print({"cameras": found})
        return
    for name, held in found.items():
        for lock in held:
            state = f"released: {lock.released_why}" if lock.released_at else "held"
            click.echo(
                f"{name}  {lock.lock_id}  {lock.kind}  {_time(lock.since)} to {_time(lock.until)}"
                f"  incident {lock.incident_id}, by {lock.approver},"
                f" until {_time(lock.expires_at)}  {state}"
            )
    if not any(found.values()):
        click.echo("No locks.")


@locks.command()
@_data_dir
@_one_camera
@click.option("--from", "since", required=True, help="Start, ISO 8601; without a zone it is UTC.")
@click.option("--to", "until", required=True, help="End, ISO 8601.")
@click.option("--incident", required=True, help="The case it is kept for.")
@click.option("--approver", required=True, help="Who orders it.")
@click.option(
    "--days", type=click.FloatRange(min=0, min_open=True), default=30.0, show_default=True
)
@_config
@_json
@_plain_failure
def add(
    data_dir: Path,
    camera_id: str,
    since: str,
    until: str,
    incident: str,
    approver: str,
    days: float,
    config: Path | None,
    *,
    as_json: bool,
) -> None:
    """Keep a span of a camera's recordings as evidence, for --days days."""
    from agent.buffer import orders, report
    from agent.core.ids import new_ulid
    from agent.messages.locking import LockSpan

    (folder,) = report.cameras_in(data_dir, camera_id)
    clock = SystemClock()
    lock_id = new_ulid(clock.utc_now())
    order = LockSpan(
        request_id=lock_id,
        lock_id=lock_id,
        since=_parse(since),
        until=_parse(until),
        incident_id=incident,
        approver=approver,
        expires_at=clock.utc_now() + timedelta(days=days),
    )
    orders.give(folder, order, _settings(config).buffer, clock)
    span = f"{camera_id} {order.since.isoformat()} to {order.until.isoformat()}, lock {lock_id}"
    note(data_dir, "lock.add", by=approver, case=incident, detail=span)
    _tell(as_json, {"lock_id": lock_id, "expires_at": order.expires_at}, f"locked: {lock_id}")


@locks.command()
@_data_dir
@_one_camera
@click.argument("lock_id")
@click.option("--by", required=True, help="Who orders it.")
@_json
@_plain_failure
def remove(data_dir: Path, camera_id: str, lock_id: str, by: str, *, as_json: bool) -> None:
    """Let a lock go before its time."""
    from agent.buffer import orders, report
    from agent.core.ids import new_ulid
    from agent.messages.locking import Unlock

    (folder,) = report.cameras_in(data_dir, camera_id)
    clock = SystemClock()
    order = Unlock(request_id=new_ulid(clock.utc_now()), lock_id=lock_id, by=by)
    orders.give(folder, order, Settings().buffer, clock)
    note(data_dir, "lock.remove", by=by, detail=f"{camera_id}, lock {lock_id}")
    _tell(as_json, {"lock_id": lock_id}, f"removed: {lock_id}")


@buffer.command()
@_data_dir
@_camera
@_config
@click.option("--dry-run", is_flag=True, help="Needed: only the agent itself deletes.")
@_json
@_plain_failure
def prune(
    data_dir: Path, camera_id: str | None, config: Path | None, *, dry_run: bool, as_json: bool
) -> None:
    """Tell what would be deleted now, and by which rule."""
    from agent.buffer import report

    if not dry_run:
        raise SettingsError(
            "buffer.only_dry_run",
            "Only the running agent deletes recordings.",
            hint="Add --dry-run to see what it would delete now.",
        )
    settings, clock = _settings(config), SystemClock()
    folders = report.cameras_in(data_dir, camera_id)
    count = len(settings.cameras) or len(report.cameras_in(data_dir))
    found = [
        doom for folder in folders for doom in report.doomed(folder, settings.buffer, clock, count)
    ]
    if as_json:
        _print({"segments": found, "bytes": sum(doom.bytes for doom in found)})
        return
    for doom in found:
        click.echo(f"{doom.camera_id}  {_time(doom.start_at)}  {doom.rule}  {doom.path}")
    click.echo(f"{len(found)} segments, {_size(sum(doom.bytes for doom in found))}, would go.")


def _settings(config: Path | None) -> Settings:
    from agent.local.cli.present_settings import present

    return present(config) if config else Settings()


def _tell(as_json: bool, facts: dict[str, Any], words: str) -> None:
    if as_json:
        _print(facts)
    else:
        click.echo(words)


def _print(facts: object) -> None:
    click.echo(msgspec.json.encode(facts).decode())


def _parse(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(
            "buffer.bad_time",
            f"`{text}` is not an ISO 8601 time.",
            hint="Write it like 2026-11-22T02:00:00Z.",
        ) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def _size(count_bytes: int) -> str:
    mebibytes = count_bytes / 1024**2
    return f"{mebibytes / 1024:.1f} GiB" if mebibytes >= 1024 else f"{mebibytes:.1f} MiB"
