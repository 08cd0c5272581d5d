"""`poleside clip`: recorded video out of the buffer, while the agent runs or from a taken disk.

Every clip is sealed: a signed manifest in the file says who asked and proves each GOP.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from agent.core.errors import PolesideError, StorageError
from agent.local.cli.audited import local_user, note
from agent.local.cli.clip_key import key, rotate_key
from agent.local.cli.clip_lacks import WITH_HOLES, as_facts, lacks_of, say
from agent.local.cli.clip_masked import masked
from agent.local.cli.clip_verify import verify
from agent.local.cli.clip_views import (
    preview,
    sources_of,
    stream,
    stream_option,
    timelapse,
)
from agent.local.cli.progress import working
from agent.local.cli.time_range import time_range

if TYPE_CHECKING:
    from agent.clips.export import Clip
    from agent.clips.holes import Hole


@click.group()
def clip() -> None:
    """Take recorded video out of the buffer, and check what was taken."""


clip.add_command(verify)
clip.add_command(key)
clip.add_command(rotate_key)
clip.add_command(stream)
clip.add_command(preview)
clip.add_command(timelapse)
clip.add_command(masked)


@clip.command()
@click.option("--camera", required=True, help="The camera's id.")
@click.option("--from", "since", help="Start, ISO 8601; without a zone it is UTC.")
@click.option("--to", "until", help="End, ISO 8601; without a zone it is UTC.")
@click.option("--last", "last_s", type=float, help="Instead of a range: the last SECONDS.")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--by", default="", help="Who asks; else the name you are logged in with.")
@click.option("--incident", default="", help="The incident or case it belongs to.")
@click.option("--purpose", default="", help="What it is for.")
@click.option("--order", "command_id", default="", hidden=True)
@click.option("--sidecar", is_flag=True, help="Write the manifest beside the clip as well.")
@stream_option
@click.option("--data-dir", type=click.Path(path_type=Path), default="/var/lib/poleside")
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")
def export(
    camera: str,
    since: str | None,
    until: str | None,
    last_s: float | None,
    out: Path,
    by: str,
    incident: str,
    purpose: str,
    command_id: str,
    wanted: str,
    data_dir: Path,
    *,
    sidecar: bool,
    as_json: bool,
) -> None:
    """Write a time range of one camera to an MP4 file, without re-encoding.

    What it lacks of that time is said, and why. Ends with 3 where the clip was made, but some of
    what was recorded can't be read.

    \b
    poleside clip export --camera gate --last 60 --out gate.mp4
    poleside clip export --camera gate --from 2026-11-22T02:00:00Z --to 2026-11-22T02:01:00Z \\
        --out gate.mp4
    """
    from agent.clips.export import sha256_of

    asked = {"by": by or local_user(), "incident": incident, "purpose": purpose}
    audited = partial(
        note, data_dir, "clip.export", by=asked["by"], case=incident, command_id=command_id
    )
    try:
        begin, end = time_range(since, until, last_s)
        with working("Exporting", is_shown=not as_json):
            stream, made = _export(camera, begin, end, out, data_dir, wanted)
            lacks = lacks_of(made.holes, camera, stream, begin, end, data_dir)
            seal = _seal(made, lacks, camera, stream, begin, end, asked, data_dir, sidecar=sidecar)
            sha256 = sha256_of(made.path)
        span = f"{camera} {stream} {made.start_at.isoformat()} to {made.end_at.isoformat()}"
        is_whole = bool(seal.get("whole"))
        code = "clip.holes" if made.holes else ""
        audited(
            code=code if is_whole else "clip.not_whole",
            detail=f"{span}, sha256 {sha256}",
            sha256=sha256,
        )
        _tell(made, lacks, stream, sha256, seal, as_json=as_json)
    except PolesideError as error:
        audited(outcome="failed", code=error.code, detail=camera)
        if not as_json:
            raise
        failure = {"code": error.code, "message": error.message, "hint": error.hint}
        click.echo(json.dumps(failure))
        sys.exit(1)
    if made.holes:
        sys.exit(WITH_HOLES)


def _export(
    camera: str, since: datetime, until: datetime, out: Path, data_dir: Path, wanted: str
) -> tuple[str, Clip]:
    from agent.clips.export import export_clip

    stream, sources = sources_of(data_dir, camera, since, until, wanted)
    return stream, export_clip(sources, since, until, out)


def _seal(
    made: Clip,
    lacks: tuple[Hole, ...],
    camera: str,
    stream: str,
    since: datetime,
    until: datetime,
    asked: dict[str, str],
    data_dir: Path,
    *,
    sidecar: bool,
) -> dict[str, object]:
    """Seal the clip and check it as a stranger would; a clip is better unsealed than not given."""
    from agent.buffer.reading import camera_folder
    from agent.buffer.rebuilt_place import index_file_of
    from agent.core.clock import SystemClock
    from agent.evidence import manifest
    from agent.evidence.handover import read_handovers
    from agent.evidence.key_store import load_box_key
    from agent.evidence.sealing import ClipFacts, GopPlace, seal_clip
    from agent.evidence.verify import verify_clip

    places = [GopPlace(gop.path, gop.number) for gop in made.gops]
    holes = [manifest.Hole(one.since, one.until, one.cause) for one in lacks]
    facts = ClipFacts(made.path, camera, made.start_at, made.end_at, places, stream, holes)
    request = manifest.ClipRequest(since=since, until=until, **asked)
    folder = camera_folder(data_dir, camera)
    try:
        box_key = load_box_key(data_dir)
        seal = seal_clip(
            facts,
            index_file_of(folder),
            request,
            box_key,
            SystemClock(),
            read_handovers(data_dir),
            data_dir / "box.db",
            folder,
        )
    except StorageError as error:
        return {"sealed": False, "seal_code": error.code, "seal_problem": error.message}
    if sidecar:
        made.path.with_name(made.path.name + ".jws").write_bytes(seal.token)
    verdict = verify_clip(made.path, [box_key.public])
    return {
        "sealed": True,
        "whole": verdict.is_whole,
        "key_id": verdict.key_id,
        "findings": [finding.message for finding in verdict.findings],
    }


def _tell(
    made: Clip,
    lacks: tuple[Hole, ...],
    stream: str,
    sha256: str,
    seal: dict[str, object],
    *,
    as_json: bool,
) -> None:
    from agent.clips.preview import PLAYABLE_CODECS

    size_bytes = made.path.stat().st_size
    facts = {
        "path": str(made.path),
        "start_at": made.start_at.isoformat(),
        "end_at": made.end_at.isoformat(),
        "frames": made.frames,
        "stream": stream,
        "codec": made.codec,
        "plays_in_browsers": made.codec in PLAYABLE_CODECS,
        "bytes": size_bytes,
        "sha256": sha256,
        "holes": as_facts(lacks),
    }
    if as_json:
        click.echo(json.dumps(facts | seal))
        return
    click.echo(f"{made.path}: {made.start_at:%Y-%m-%d %H:%M:%S} to {made.end_at:%H:%M:%S} UTC")
    click.echo(f"{made.frames} frames, {stream} stream, {made.codec}, {size_bytes} bytes")
    if not facts["plays_in_browsers"]:
        click.echo("Few browsers play this codec: try --stream sub, or `poleside clip preview`.")
    say(lacks, made.holes)
    click.echo(f"sha256 {sha256}")
    if not seal["sealed"]:
        click.echo(f"Not sealed, so nobody can check it: {seal['seal_problem']}", err=True)
    elif not seal["whole"]:
        click.echo("The recording on this disk was changed after it was made:", err=True)
        click.echo("\n".join(str(text) for text in cast("list[str]", seal["findings"])), err=True)
    else:
        click.echo(f"sealed by key {seal['key_id']}")
