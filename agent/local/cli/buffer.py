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
from agent.local.cli import buffer_words
from agent.local.cli.audited import note
from agent.local.cli.buffer_check import check
from agent.local.cli.buffer_coverage import coverage
from agent.local.cli.buffer_words import cause_of, size_of, time_of
from agent.local.cli.spoken import lang_option, words_of
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
@lang_option
@_json
@_plain_failure
def status(data_dir: Path, camera_id: str | None, lang: str, *, as_json: bool) -> None:
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
    for line in buffer_words.status_lines(disk, cameras, lang):
        click.echo(line)


@buffer.command()
@_data_dir
@_camera
@click.option("--from", "since", help="Start, ISO 8601; without a zone it is UTC.")
@click.option("--to", "until", help="End, ISO 8601; without it, now.")
@click.option("--last-hours", type=float, default=24.0, show_default=True)
@click.option("--stream", type=click.Choice(["main", "sub"]), default="main", show_default=True)
@lang_option
@_json
@_plain_failure
def gaps(
    data_dir: Path,
    camera_id: str | None,
    since: str | None,
    until: str | None,
    last_hours: float,
    stream: str,
    lang: str,
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
    words = words_of(lang)
    for name, gap in found:
        end = time_of(gap.until) if gap.until else words["buffer.now"]
        cause = cause_of(gap.cause, lang)
        told = {"camera": name, "since": time_of(gap.since), "until": end, "cause": cause}
        click.echo(words["buffer.gap"].format(**told))
    if not found:
        click.echo(words["buffer.no-gap"].format(since=time_of(begin), until=time_of(to)))


@buffer.group(invoke_without_command=True)
@_data_dir
@_camera
@click.option("--all", "released", is_flag=True, help="Those of the past, too.")
@lang_option
@_json
@click.pass_context
def locks(context: click.Context, /, **options: Any) -> None:
    """List locks; `add` and `remove` change them."""
    if context.invoked_subcommand is None:
        _list_locks(**options)


@_plain_failure
def _list_locks(
    data_dir: Path, camera_id: str | None, lang: str, *, released: bool, as_json: bool
) -> None:
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
            click.echo(buffer_words.lock_line(name, lock, lang))
    if not any(found.values()):
        click.echo(words_of(lang)["buffer.no-locks"])


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
@lang_option
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
    lang: str,
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
    _tell(
        as_json,
        {"lock_id": lock_id, "expires_at": order.expires_at},
        words_of(lang)["buffer.locked"].format(lock=lock_id),
    )


@locks.command()
@_data_dir
@_one_camera
@click.argument("lock_id")
@click.option("--by", required=True, help="Who orders it.")
@lang_option
@_json
@_plain_failure
def remove(
    data_dir: Path, camera_id: str, lock_id: str, by: str, lang: str, *, as_json: bool
) -> None:
    """Let a lock go before its time."""
    from agent.buffer import orders, report
    from agent.core.ids import new_ulid
    from agent.messages.locking import Unlock

    (folder,) = report.cameras_in(data_dir, camera_id)
    clock = SystemClock()
    order = Unlock(request_id=new_ulid(clock.utc_now()), lock_id=lock_id, by=by)
    orders.give(folder, order, Settings().buffer, clock)
    note(data_dir, "lock.remove", by=by, detail=f"{camera_id}, lock {lock_id}")
    _tell(as_json, {"lock_id": lock_id}, words_of(lang)["buffer.removed"].format(lock=lock_id))


@buffer.command()
@_data_dir
@_camera
@_config
@click.option("--dry-run", is_flag=True, help="Needed: only the agent itself deletes.")
@lang_option
@_json
@_plain_failure
def prune(
    data_dir: Path,
    camera_id: str | None,
    config: Path | None,
    lang: str,
    *,
    dry_run: bool,
    as_json: bool,
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
        rule = words_of(lang)[f"buffer.rule.{doom.rule}"]
        click.echo(f"{doom.camera_id}  {time_of(doom.start_at)}  {rule}  {doom.path}")
    size = size_of(sum(doom.bytes for doom in found))
    click.echo(words_of(lang)["buffer.would-go"].format(n=len(found), size=size))


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
