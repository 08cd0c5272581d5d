"""`poleside clip stream|preview|timelapse`: ways to look at recorded video, unsealed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.core.errors import PolesideError, SettingsError
from agent.local.cli.answer import json_option, show
from agent.local.cli.audited import note
from agent.local.cli.clip_lacks import WITH_HOLES, as_facts, lacks_of, say
from agent.local.cli.progress import working
from agent.local.cli.time_range import time_range

if TYPE_CHECKING:
    from agent.clips.export import ClipSource


stream_option = click.option(
    "--stream",
    "wanted",
    type=click.Choice(["auto", "main", "sub"]),
    default="auto",
    show_default=True,
    help="auto: the main stream, or the sub stream of a time when that alone is left.",
)


def _camera_and_range(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--camera", required=True, help="The camera's id."),
        click.option("--from", "since", help="Start, ISO 8601; without a zone it is UTC."),
        click.option("--to", "until", help="End, ISO 8601; without a zone it is UTC."),
        click.option("--last", "last_s", type=float, help="Instead of a range: the last SECONDS."),
        click.option("--data-dir", type=click.Path(path_type=Path), default="/var/lib/poleside"),
    ):
        command = option(command)
    return command


@click.command()
@_camera_and_range
@stream_option
def stream(
    camera: str,
    since: str | None,
    until: str | None,
    last_s: float | None,
    data_dir: Path,
    wanted: str,
) -> None:
    """Write recorded video to standard output as it is read: for a player, not for a court.

    poleside clip stream --camera gate --last 600 | ffplay -

    What it lacks of that time is said at the end, as errors are, and why. Ends with 3 where some of
    what was recorded can't be read.
    """
    from agent.clips.export import stream_clip

    if sys.stdout.isatty():
        raise SettingsError(
            "clip.terminal",
            "Video would be written to the terminal.",
            hint="Pipe it into a player or a file.",
        )
    begin, end = time_range(since, until, last_s)
    note(data_dir, "clip.stream", detail=_span(camera, begin, end))
    name, sources = sources_of(data_dir, camera, begin, end, wanted)
    not_given = stream_clip(sources, begin, end, sys.stdout.buffer)
    say(lacks_of(not_given, camera, name, begin, end, data_dir), not_given, is_aside=True)
    if not_given:
        sys.exit(WITH_HOLES)


@click.command()
@_camera_and_range
@stream_option
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@json_option
def preview(
    camera: str,
    since: str | None,
    until: str | None,
    last_s: float | None,
    data_dir: Path,
    wanted: str,
    out: Path,
    *,
    as_json: bool,
) -> None:
    """Write a small film of the key frames that any browser plays, H.265 cameras too (WebM).

    What it lacks of that time is said, and why. Ends with 3 where the film was made, but some of
    what was recorded can't be read.
    """
    from agent.clips.preview import make_preview

    begin, end = time_range(since, until, last_s)
    audited = partial(note, data_dir, "clip.preview", detail=_span(camera, begin, end))
    try:
        name, sources = sources_of(data_dir, camera, begin, end, wanted)
        with working("Filming", is_shown=not as_json):
            made = make_preview(sources, begin, end, out)
            lacks = lacks_of(made.holes, camera, name, begin, end, data_dir)
    except PolesideError as error:
        audited(outcome="failed", code=error.code)
        raise
    audited(code="clip.holes" if made.holes else "")
    facts = {"file": str(made.path), "pictures": made.frames, "start_at": made.start_at}
    begins = f"{made.start_at:%Y-%m-%d %H:%M:%S} UTC on"
    show(
        facts | {"stream": name, "holes": as_facts(lacks)},
        [f"{made.path}: {made.frames} pictures, {begins}"],
        as_json=as_json,
    )
    if not as_json:
        say(lacks, made.holes)
    if made.holes:
        sys.exit(WITH_HOLES)


@click.command()
@_camera_and_range
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@json_option
def timelapse(
    camera: str,
    since: str | None,
    until: str | None,
    last_s: float | None,
    data_dir: Path,
    out: Path,
    *,
    as_json: bool,
) -> None:
    """Write a film of the pictures kept past the ring (WebM, twelve a second).

    How many of them can't be read is said; then it ends with 3.
    """
    from agent.buffer.reading import camera_folder
    from agent.clips.stills import stills
    from agent.clips.timelapse import make_film

    begin, end = time_range(since, until, last_s)
    note(data_dir, "clip.timelapse", detail=_span(camera, begin, end))
    with working("Filming", is_shown=not as_json):
        pictures = list(stills(camera_folder(data_dir, camera), begin, end))
        frames = make_film(pictures, out)
    unreadable = len(pictures) - frames
    answer = {"file": str(out), "pictures": frames, "unreadable": unreadable}
    show(answer, [f"{out}: {frames} pictures"], as_json=as_json)
    if unreadable and not as_json:
        click.echo(f"It lacks {unreadable} pictures that can't be read.", err=True)
    if unreadable:
        sys.exit(WITH_HOLES)


def _span(camera: str, begin: datetime, end: datetime) -> str:
    return f"{camera} {begin.isoformat()} to {end.isoformat()}"


def sources_of(
    data_dir: Path, camera: str, since: datetime, until: datetime, wanted: str
) -> tuple[str, list[ClipSource]]:
    """Return the stream that a clip of this range is of, and its segments."""
    from agent.buffer.reading import camera_folder, for_clip
    from agent.clips.export import ClipSource

    stream_name, found = for_clip(camera_folder(data_dir, camera), since, until, wanted)
    return stream_name, [
        ClipSource(one.path, one.start_at, one.end_at, one.run_id, one.is_thinned) for one in found
    ]
