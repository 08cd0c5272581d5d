"""`poleside buffer check`: index and files compared; with `--rebuild` a lost index made anew."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from agent.core.errors import PolesideError, StorageError
from agent.local.cli.answer import json_option
from agent.local.cli.audited import note
from agent.local.cli.progress import working

if TYPE_CHECKING:
    from agent.buffer.rebuilt import Rebuilt


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default="/var/lib/poleside",
    show_default=True,
    help="The agent's data folder, here or on a disk taken from another box.",
)
@click.option("--camera", "camera_id", help="The camera's id; without it all cameras.")
@click.option(
    "--rebuild",
    "is_to_rebuild",
    is_flag=True,
    help="First make a lost or damaged index anew, from the recordings and what lies beside them."
    " For a read-only disk it is put into your temporary folder ($TMPDIR), where the other"
    " commands find it.",
)
@json_option
def check(data_dir: Path, camera_id: str | None, *, is_to_rebuild: bool, as_json: bool) -> None:
    """Compare index and files both ways and verify the purge records; exit 1 when they differ.

    Without --rebuild nothing is changed: the agent puts right what differs, at its start and every
    hour.
    """
    try:
        made = _rebuild(data_dir, camera_id, is_shown=not as_json) if is_to_rebuild else {}
        is_clean = _check(data_dir, camera_id, made, as_json=as_json)
    except PolesideError as error:
        if not as_json:
            raise
        _print({"code": error.code, "message": error.message, "hint": error.hint})
        sys.exit(1)
    sys.exit(0 if is_clean else 1)


def _check(
    data_dir: Path, camera_id: str | None, made: dict[str, Rebuilt], *, as_json: bool
) -> bool:
    from agent.buffer import report
    from agent.buffer.check import compare
    from agent.buffer.journal import verify_purges
    from agent.buffer.reading import open_index_reader
    from agent.evidence.known_keys import verifier_of

    verifies = verifier_of(data_dir)
    answer: dict[str, Any] = {}
    is_clean = True
    for folder in report.cameras_in(data_dir, camera_id):
        with (
            working(f"Checking {folder.name}", is_shown=not as_json),
            closing(open_index_reader(folder)) as db,
        ):
            findings = compare(db, folder)
            purges = list(verify_purges(db, verifies)) if verifies else []
        is_clean = is_clean and findings.is_clean and not purges
        answer[folder.name] = {"findings": findings, "purges": purges}
        if folder.name in made:
            answer[folder.name]["rebuilt"] = made[folder.name]
        if not as_json:
            facts = ", ".join(f"{n.replace('_', ' ')} {v}" for n, v in _fields(findings).items())
            click.echo(f"{folder.name}: {facts}")
            for problem in purges:
                click.echo(f"  {problem}")
    if as_json:
        _print({"ok": is_clean, "has_key": verifies is not None, "cameras": answer})
    elif verifies is None:
        click.echo("The box's public key is not there: no signature was verified.")
    return is_clean


def _rebuild(data_dir: Path, camera_id: str | None, *, is_shown: bool) -> dict[str, Rebuilt]:
    """Return what was made of each camera whose index was lost."""
    from agent.buffer import ledger, report
    from agent.buffer.rebuilt import rebuild
    from agent.core.clock import SystemClock
    from agent.evidence import schema as evidence
    from agent.evidence.known_keys import verifier_of

    made = {}
    for folder in report.cameras_in(data_dir, camera_id):
        try:
            with working(f"Making the index of {folder.name} anew", is_shown=is_shown):
                parts = [ledger.PART, evidence.PART]
                one = rebuild(folder, parts, SystemClock(), verifier_of(data_dir))
        except OSError as error:
            raise StorageError(
                "buffer.not_rebuilt",
                f"The index of {folder.name} can't be made anew: {error}.",
                hint="Look whether disk and temporary folder have room, and whose files they are.",
            ) from error
        if one.why:
            made[folder.name] = one
            note(data_dir, "buffer.rebuild", detail=f"{folder.name}: {one.why}")
        if is_shown:
            _tell(folder.name, one)
    return made


def _tell(name: str, made: Rebuilt) -> None:
    if not made.why:
        click.echo(f"{name}: the index is whole, nothing was made anew")
        return
    was = made.why if made.why in _PLAIN else "damaged"
    click.echo(f"{name}: the index was {was}; made anew: {made.index_file}")
    click.echo(f"  {made.segments} segments, {made.gaps} gaps")
    if made.unsigned:
        click.echo(f"  {made.unsigned} segments are known by their files alone: without signatures")
    for refused in made.refused:
        click.echo(f"  not taken: {refused}")


_PLAIN = ("lost", "half made")


def _fields(findings: object) -> dict[str, int]:
    fields: dict[str, int] = msgspec.to_builtins(findings)
    return fields


def _print(facts: object) -> None:
    click.echo(msgspec.json.encode(facts, enc_hook=str).decode())
