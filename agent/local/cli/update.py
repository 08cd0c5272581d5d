"""`poleside update`: the image's new version from a stick, how far it is, and giving it up."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from agent.local.cli.answer import json_option, show

_DATA_DIR = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default="/var/lib/poleside",
    show_default=True,
)
_ROOT = click.option(
    "--root", type=click.Path(path_type=Path, file_okay=False), default="/", hidden=True
)


@click.group()
def update() -> None:
    """Bring a new version of the image onto this box.

    The center orders updates by itself; these are for a technician with a stick. A bundle is
    installed only when the city's update key has signed it and its version is not below the floor.
    """


@update.command()
@_DATA_DIR
@_ROOT
@json_option
def status(data_dir: Path, root: Path, *, as_json: bool) -> None:
    """Tell which version runs, and how far an update is.

    \b
    Exit codes: 0 told, 1 the folder can't be read.
    """
    import msgspec

    from agent import __version__
    from agent.updates.image import ImageSide
    from agent.updates.job import load

    image = ImageSide.of(data_dir, root)
    job = load(image.folder)
    told = job.told() if job else None
    if as_json:
        facts = {
            "agent": __version__,
            "image": image.version or None,
            "update": msgspec.to_builtins(told) if told else None,
        }
        click.echo(msgspec.json.encode(facts).decode())
        return
    runs = f"image {image.version}" if image.is_there else "no Poleside image: updates come by apt"
    click.echo(f"agent     {__version__}, {runs}")
    if told is None:
        click.echo("update    none was ever asked for")
        return
    part = f"{told.have_bytes / 1e6:.1f} of {told.size_bytes / 1e6:.1f} MB"
    click.echo(f"update    {told.version} {told.stage.value}, {part}")
    if told.waits_for:
        click.echo(f"waits     for {told.waits_for}")
    if told.code:
        click.echo(f"why       {told.why} [{told.code}]")


@update.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--version", "told_version", required=True, help='Its version, such as "1.4.0".')
@click.option(
    "--restart/--no-restart",
    default=True,
    show_default=True,
    help="Restart into it as soon as no incident is on, or try it at the next start.",
)
@click.option("--by", default="", help="Who asks; else the name you are logged in with.")
@_DATA_DIR
@_ROOT
@json_option
def install(
    bundle: Path,
    told_version: str,
    by: str,
    data_dir: Path,
    root: Path,
    *,
    restart: bool,
    as_json: bool,
) -> None:
    """Copy BUNDLE (.raucb) from a stick and have it installed.

    \b
    poleside update install /media/stick/poleside-1.4.0.raucb --version 1.4.0
    Exit codes: 0 asked for, 1 not possible (it says why).
    """
    import msgspec

    from agent.contract.updates import Update
    from agent.core.clock import SystemClock
    from agent.core.errors import StorageError
    from agent.core.ids import new_ulid
    from agent.local.cli.audited import local_user, note
    from agent.updates import stick
    from agent.updates.image import ImageSide
    from agent.updates.job import LocalOrder

    image = ImageSide.of(data_dir, root)
    image.check()
    size_bytes = bundle.stat().st_size
    if not stick.has_room(data_dir, size_bytes):
        raise StorageError(
            "update.no_room",
            "The disk has no room for the bundle.",
            hint="Shorten `retention` or free the disk.",
        )
    order = msgspec.convert(
        {
            "action": "install",
            "version": told_version,
            "url": "file:stick",
            "sha256": stick.sha256_of(bundle),
            "size_bytes": size_bytes,
            "restart": restart,
        },
        Update,
    )
    by = by or local_user()
    told = LocalOrder(id=new_ulid(SystemClock().utc_now()), by=by, order=order)
    with click.progressbar(length=size_bytes, label="Copying", file=sys.stderr) as bar:
        stick.bring(bundle, image.folder, told, bar.update)
    note(data_dir, "update.stick", by=by, detail=f"version {told_version}", sha256=order.sha256)
    if as_json:
        click.echo(msgspec.json.encode({"id": told.id, "sha256": order.sha256}).decode())
    else:
        click.echo("Asked for. `poleside update status` tells how far it is.")


@update.command()
@_DATA_DIR
@json_option
def cancel(data_dir: Path, *, as_json: bool) -> None:
    """Give up an update that is not installed yet."""
    from agent.contract.updates import Update
    from agent.core.clock import SystemClock
    from agent.core.ids import new_ulid
    from agent.local.cli.audited import local_user
    from agent.updates import stick
    from agent.updates.image import FOLDER
    from agent.updates.job import LocalOrder

    order = LocalOrder(
        id=new_ulid(SystemClock().utc_now()), by=local_user(), order=Update(action="cancel")
    )
    stick.leave(data_dir / FOLDER, order)
    asked = "Asked for. `poleside update status` tells whether it could still be given up."
    show({"id": order.id}, [asked], as_json=as_json)


@update.command()
@click.argument("bundle", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@json_option
def index(bundle: Path, *, as_json: bool) -> None:
    """Write BUNDLE.blocks beside a bundle: with it, boxes fetch only blocks that changed.

    For whoever publishes updates: lay both files into the store, and name the index in the order
    as `blocks_url`.
    """
    from agent.updates import blocks

    made = blocks.index_of(bundle)
    target = bundle.with_name(bundle.name + blocks.SUFFIX)
    target.write_bytes(made)
    size_bytes = bundle.stat().st_size
    show(
        {"file": str(target), "bytes": len(made), "bundle_bytes": size_bytes},
        [f"{target}: {len(made)} bytes for a bundle of {size_bytes}"],
        as_json=as_json,
    )
