"""`poleside clip verify`: whether a clip is what the box recorded.

Needs the file and the box's public key, neither a box nor a network.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.local.cli import audited

if TYPE_CHECKING:
    from agent.evidence.verify import Verdict

_MOST_FINDINGS = 20


@click.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--box-key",
    "key_files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="The box's public key, JWK or PEM, as `poleside clip key` gives it. May be repeated.",
)
@click.option(
    "--manifest",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A manifest kept beside the clip (.jws), for a copy that lost its own.",
)
@click.option(
    "--anchor",
    "anchor_file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="What the center kept of the box (`poleside center anchors`): finds a rewritten past.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="On a box: its data folder, so that a failed check goes into the audit chain.",
)
@click.option("--repackaged", is_flag=True, help="Accept another wrapping of the same pictures.")
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")
def verify(
    path: Path,
    key_files: tuple[Path, ...],
    manifest: Path | None,
    anchor_file: Path | None,
    data_dir: Path | None,
    *,
    repackaged: bool,
    as_json: bool,
) -> None:
    """Check a clip; exit code 0 only when it is whole.

    \b
    poleside clip verify gate.mp4 --box-key box-1.jwk.json
    poleside clip verify gate.mp4 --box-key box-1.jwk.json --anchor box-1.anchors
    """
    from agent.evidence.anchors import load_anchors
    from agent.evidence.box_key import load_public_key
    from agent.evidence.handover import handovers_in
    from agent.evidence.verify import verify_clip

    verdict = verify_clip(
        path,
        [load_public_key(file) for file in key_files],
        token=manifest.read_bytes().strip() if manifest else None,
        may_be_repackaged=repackaged,
        anchors=load_anchors(anchor_file) if anchor_file else None,
        handovers=[token for file in key_files for token in handovers_in(file)],
    )
    if as_json:
        click.echo(json.dumps(_facts(verdict)))
    else:
        _tell(verdict)
    if data_dir is not None and not verdict.is_whole:
        kinds = ", ".join(sorted({str(one.kind) for one in verdict.findings}))
        audited.note(data_dir, "clip.verify", outcome="failed", detail=f"{path.name}: {kinds}")
    sys.exit(0 if verdict.is_whole else 1)


def _facts(verdict: Verdict) -> dict[str, object]:
    manifest = verdict.manifest
    facts: dict[str, object] = {
        "whole": verdict.is_whole,
        "key_id": verdict.key_id,
        "key_given": verdict.is_pinned,
        "gops": verdict.gops,
        "gops_signed_when_recorded": verdict.signed_when_recorded,
        "findings": [
            {"kind": str(one.kind), "gop": one.gop, "message": one.message}
            for one in verdict.findings
        ],
        "notes": list(verdict.notes),
    }
    if manifest is not None:
        facts |= {
            "box": manifest.box,
            "camera": manifest.camera,
            "stream": manifest.stream,
            "start_at": manifest.start_at.isoformat(),
            "end_at": manifest.end_at.isoformat(),
            "by": manifest.request.by,
            "incident": manifest.request.incident,
            "purpose": manifest.request.purpose,
            "exported_at": manifest.exported_at.isoformat(),
            "clock_quality": manifest.clock_quality,
            "time_quality": sorted({one.header.time_quality for one in manifest.stretches
                                    if one.header is not None}),
            "versions": manifest.versions,
        }  # fmt: skip
    return facts


def _tell(verdict: Verdict) -> None:
    manifest = verdict.manifest
    if manifest is not None:
        asked = manifest.request
        click.echo(
            f"Camera {manifest.camera} ({manifest.stream} stream) of box"
            f" {manifest.box or 'unknown'},"
            f" {manifest.start_at:%Y-%m-%d %H:%M:%S} to {manifest.end_at:%H:%M:%S} UTC"
        )
        click.echo(
            f"Given out {manifest.exported_at:%Y-%m-%d %H:%M:%S} UTC to {asked.by or '-'},"
            f" incident {asked.incident or '-'}, purpose {asked.purpose or '-'}"
        )
    for finding in verdict.findings[:_MOST_FINDINGS]:
        click.echo(f"{finding.kind}: {finding.message}")
    if len(verdict.findings) > _MOST_FINDINGS:
        click.echo(f"… and {len(verdict.findings) - _MOST_FINDINGS} more")
    for note in verdict.notes:
        click.echo(f"Note: {note}")
    if not verdict.is_whole:
        click.echo("NOT WHOLE")
    elif verdict.is_pinned:
        click.echo(f"WHOLE: {verdict.gops} GOPs, signed by the box's key {verdict.key_id}")
    else:
        click.echo(
            f"WHOLE: {verdict.gops} GOPs, signed by key {verdict.key_id},"
            " which you must compare with the box's own: no --box-key was given"
        )
