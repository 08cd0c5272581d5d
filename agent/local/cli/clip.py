"""`poleside clip`: recorded video out of the buffer, while the agent runs or from a taken disk."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from agent.core.errors import PolesideError, SettingsError


@click.group()
def clip() -> None:
    """Take recorded video out of the buffer."""


@clip.command()
@click.option("--camera", required=True, help="The camera's id.")
@click.option("--from", "since", help="Start, ISO 8601; without a zone it is UTC.")
@click.option("--to", "until", help="End, ISO 8601; without a zone it is UTC.")
@click.option("--last", "last_s", type=float, help="Instead of a range: the last SECONDS.")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--data-dir", type=click.Path(path_type=Path), default="/var/lib/poleside")
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")
def export(
    camera: str,
    since: str | None,
    until: str | None,
    last_s: float | None,
    out: Path,
    data_dir: Path,
    *,
    as_json: bool,
) -> None:
    """Write a time range of one camera to an MP4 file, without re-encoding.

    \b
    poleside clip export --camera gate --last 60 --out gate.mp4
    poleside clip export --camera gate --from 2026-11-22T02:00:00Z --to 2026-11-22T02:01:00Z \\
        --out gate.mp4
    """
    try:
        _export(camera, _range(since, until, last_s), out, data_dir, as_json=as_json)
    except PolesideError as error:
        if not as_json:
            raise
        failure = {"code": error.code, "message": error.message, "hint": error.hint}
        click.echo(json.dumps(failure))
        sys.exit(1)


def _export(
    camera: str, span: tuple[datetime, datetime], out: Path, data_dir: Path, *, as_json: bool
) -> None:
    from agent.buffer.reading import camera_folder, segments
    from agent.clips.export import ClipSource, export_clip

    since, until = span
    found = segments(camera_folder(data_dir, camera), since - timedelta(seconds=30), until)
    made = export_clip(
        [ClipSource(segment.path, segment.start_at) for segment in found], since, until, out
    )
    facts = {
        "path": str(made.path),
        "start_at": made.start_at.isoformat(),
        "end_at": made.end_at.isoformat(),
        "frames": made.frames,
        "codec": made.codec,
        "bytes": made.size_bytes,
        "sha256": made.sha256,
    }
    if as_json:
        click.echo(json.dumps(facts))
        return
    click.echo(f"{made.path}: {made.start_at:%Y-%m-%d %H:%M:%S} to {made.end_at:%H:%M:%S} UTC")
    click.echo(f"{made.frames} frames, {made.codec}, {made.size_bytes} bytes")
    click.echo(f"sha256 {made.sha256}")


def _range(since: str | None, until: str | None, last_s: float | None) -> tuple[datetime, datetime]:
    from agent.core.clock import SystemClock

    if last_s is not None:
        now = SystemClock().utc_now()
        return now - timedelta(seconds=last_s), now
    if since is None or until is None:
        raise SettingsError(
            "clip.no_range",
            "No time range was given.",
            hint="Give --from and --to, or --last SECONDS.",
        )
    begin, end = _time(since), _time(until)
    if begin >= end:
        raise SettingsError("clip.bad_range", "--from must be before --to.", hint="Swap them.")
    return begin, end


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(
            "clip.bad_time",
            f"`{text}` is not an ISO 8601 time.",
            hint="Write it like 2026-11-22T02:00:00Z.",
        ) from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)
