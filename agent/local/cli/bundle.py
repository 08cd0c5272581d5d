"""`poleside bundle`: one file for support: versions, settings, health, gaps, logs; no secret."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.local.cli.audited import local_user, note
from agent.local.cli.box_in_reach import Box, box_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.local.cli.bundle_file import Scrubber
    from agent.local.cli.bundle_parts import Part

    Add = Callable[[str, Any], None]

_KEY_FILES = ("secrets/*.json", "keys/claim-secret", "keys/*.pem")


@click.command(epilog="Exit code: 0, also when parts can't be had (left-out.txt tells); 1 if none.")
@box_options
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--camera", "cameras", multiple=True, help="What may be told of: these alone.")
@click.option("--log", type=click.Path(path_type=Path, exists=True), help="Else the journal.")
@click.option("--no-dumps", is_flag=True, help="Don't ask the cameras what they can.")
@click.option("--by", default="", help="Who asks; else the name you are logged in with.")
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")
def bundle(
    box: Box,
    out: Path,
    cameras: tuple[str, ...],
    log: Path | None,
    by: str,
    *,
    no_dumps: bool,
    as_json: bool,
) -> None:
    """Write one zip with all that support needs, at most 20 MB before it is packed.

    Passwords, keys and tokens are taken out. Works beside a running agent, without one, and on a
    disk taken from another box. Audited.

    \b
    poleside bundle --out bundle.zip
    poleside bundle --out bundle.zip --data-dir /mnt/taken-disk/poleside
    """
    import msgspec

    from agent.core.clock import SystemClock
    from agent.core.errors import PolesideError
    from agent.local.cli import bundle_parts
    from agent.local.cli.bundle_file import BundleFile

    sources = bundle_parts.Sources(
        box, SystemClock(), frozenset(cameras) or None, log, dumps_cameras=not no_dumps
    )
    file = BundleFile(out, _scrubber(box))
    parts: list[tuple[Part, Add]] = [
        *((part, file.add_json) for part in bundle_parts.json_parts(sources)),
        *((part, file.add_text) for part in bundle_parts.text_parts(sources)),
    ]
    with click.progressbar(parts, label="Gathering", file=sys.stderr, hidden=as_json) as shown:
        for one in shown:
            (name, have), add = one
            try:
                add(name, have())
            except (PolesideError, OSError, sqlite3.Error, ValueError, TypeError) as error:
                file.failed(name, error)
    sha256 = file.close()
    size = out.stat().st_size
    note(
        box.data_dir,
        "bundle.make",
        by=by or local_user(),
        detail=f"{out.name}, {size} bytes, cameras {', '.join(cameras) or 'all'}",
        sha256=sha256,
    )
    if as_json:
        click.echo(msgspec.json.encode({"path": str(out), "bytes": size, "sha256": sha256}))
    else:
        click.echo(f"{out}: {size} bytes, sha256 {sha256}")


def _scrubber(box: Box) -> Scrubber:
    """Return what takes this box's own secrets out, as far as they can be read."""
    from contextlib import suppress

    import msgspec

    from agent.core.errors import PolesideError
    from agent.local.cli.bundle_file import Scrubber, secrets_in
    from agent.settings import history, load

    told: list[Any] = []
    if box.config is not None:
        with suppress(PolesideError):
            told.append(load.read_file(box.config))
    told += [load.read_local(box.data_dir), load.read_desired(box.data_dir)]
    with suppress(PolesideError):
        told += [[one.table, one.local, one.desired] for one in history.versions(box.data_dir)]
    found = {secret for table in told for secret in secrets_in(table)}
    for pattern in _KEY_FILES:
        for path in box.data_dir.glob(pattern):
            with suppress(OSError, UnicodeDecodeError, msgspec.MsgspecError):
                text = path.read_text("utf-8")
                if path.suffix == ".json":
                    found |= set(secrets_in(msgspec.json.decode(text)))
                else:
                    found |= {line for line in text.splitlines() if "----" not in line}
    return Scrubber(found)
