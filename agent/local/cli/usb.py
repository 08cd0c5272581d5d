"""`poleside usb list|export`: recorded video to a stick, with its proof, audited with a reason."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.local.cli.audited import local_user, note
from agent.local.cli.box_in_reach import Box, box_options
from agent.local.cli.clip_lacks import WITH_HOLES, is_not_given, say_facts
from agent.local.cli.progress import working
from agent.local.cli.table import echo_table, size_words
from agent.local.cli.time_range import time_range

if TYPE_CHECKING:
    from agent.local.usb.export import Exported


@click.group()
def usb() -> None:
    """Export recorded video to a USB stick.

    \b
    poleside usb list
    poleside usb export --camera gate --last 600 --reason "case 2026-77"
    """


@usb.command("list")
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON list.")
def list_(*, as_json: bool) -> None:
    """List the sticks that are here; on our own image one is mounted when it is written to."""
    import msgspec

    from agent.local.usb.borrow import usable

    found = usable()
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    echo_table(
        ("mounted at", "label", "device", "free", "of", ""),
        (
            (
                one.mount,
                one.label,
                one.device,
                size_words(one.free_bytes),
                size_words(one.total_bytes),
                "read-only" if one.is_read_only else "",
            )
            for one in found
        ),
    )


@usb.command(
    epilog="Exit code: 0 all is on the stick and it may be taken out, 1 it is not, 3 all that could"
    " be read is."
)
@box_options
@click.option("--camera", required=True, help="The camera's id.")
@click.option("--from", "since", help="Start, ISO 8601; without a zone it is UTC.")
@click.option("--to", "until", help="End, ISO 8601; without a zone it is UTC.")
@click.option("--last", "last_s", type=float, help="Instead of a range: the last SECONDS.")
@click.option(
    "--media",
    type=click.Path(path_type=Path),
    help="Where it is mounted, or a device of `usb list`; else the only stick there.",
)
@click.option("--reason", required=True, help="Why, such as the case; it is audited.")
@click.option("--by", default="", help="Who takes it; else the name you are logged in with.")
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")
def export(
    box: Box,
    camera: str,
    since: str | None,
    until: str | None,
    last_s: float | None,
    media: Path | None,
    reason: str,
    by: str,
    *,
    as_json: bool,
) -> None:
    """Write a camera's time range to a stick: clip, manifest, key, verifier, how to play it.

    Whether there is room is said before anything is written. A disk of the box itself is refused.
    What the clip lacks of that time is said, and why.
    """
    import msgspec

    from agent.commands.clip import export_clip
    from agent.contract.commands import Clip
    from agent.core.errors import PolesideError
    from agent.local.usb import export as writing

    by = by or local_user()
    audited = partial(note, box.data_dir, "usb.export", by=by, case=reason)
    try:
        begin, end = time_range(since, until, last_s)
        place = media or _only_stick()
        wanted = Clip(camera_id=camera, start_at=begin, end_at=end)
        clip_of = partial(
            export_clip,
            box.data_dir,
            wanted,
            by=by,
            incident=reason,
            purpose="usb export",
            sidecar=True,
        )
        name, key = _name_and_key(box)
        with working(f"Writing to {place}", is_shown=not as_json):
            done = asyncio.run(
                _written(
                    place,
                    box.data_dir,
                    lambda media: writing.export(
                        media, box.data_dir, name, camera, begin, end, clip_of, key
                    ),
                )
            )
    except PolesideError as error:
        audited(outcome="failed", code=error.code, detail=camera)
        if not as_json:
            raise
        failure = {"code": error.code, "message": error.message, "hint": error.hint}
        click.echo(msgspec.json.encode(failure).decode())
        sys.exit(1)
    with_holes = is_not_given(done.holes)
    audited(
        code="clip.holes" if with_holes else "",
        detail=f"{camera} to {done.folder}, sha256 {done.sha256}",
        sha256=done.sha256,
    )
    _tell(done, with_holes=with_holes, as_json=as_json)
    if with_holes:
        sys.exit(WITH_HOLES)


def _tell(done: Exported, *, with_holes: bool, as_json: bool) -> None:
    import msgspec

    if as_json:
        click.echo(msgspec.json.encode(done).decode())
        return
    click.echo(f"{done.folder}: {done.clip}, {size_words(done.bytes)}, sha256 {done.sha256}")
    if not done.is_sealed:
        click.echo("It is NOT sealed: nobody can prove that it was not changed.", err=True)
    say_facts(done.holes)
    what = "All that could be read" if with_holes else "All"
    click.echo(f"{what} is on the stick: it is safe to take it out.")


async def _written(
    place: Path, data_dir: Path, write: Callable[[Path], Awaitable[Exported]]
) -> Exported:
    """Write to a folder, or to a device that the system mounts for as long."""
    from agent.core.clock import SystemClock
    from agent.local.usb.borrow import borrowed

    if place.parent != Path("/dev"):
        return await write(place)
    async with borrowed(str(place), data_dir, SystemClock()) as media:
        return await write(media)


def _only_stick() -> Path:
    from agent.local.usb.borrow import usable
    from agent.local.usb.media import UsbError

    found = [stick for stick in usable() if not stick.is_read_only]
    if len(found) == 1:
        return Path(found[0].place)
    if not found:
        raise UsbError("usb.none", "There is no stick.", hint="Plug one in, or give --media.")
    mounts = ", ".join(one.place for one in found)
    raise UsbError("usb.several", f"There are several sticks: {mounts}.", hint="Give --media.")


def _name_and_key(box: Box) -> tuple[str, bytes]:
    """Return the box's name for the folder, and its public key as a file."""
    from contextlib import suppress

    import msgspec

    from agent.core.errors import PolesideError
    from agent.enrol.identity import IdentityFiles
    from agent.evidence.key_store import load_box_key
    from agent.settings import history

    key = msgspec.json.encode(load_box_key(box.data_dir).public) + b"\n"
    with suppress(PolesideError):
        identity = IdentityFiles.in_data_dir(box.data_dir).read()
        versions = history.versions(box.data_dir)
        if identity is not None:
            return identity.box, key
        if versions:
            return versions[-1].settings().box, key
    return "box", key
