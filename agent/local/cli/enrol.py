"""`poleside enrol`: makes this box one of a city's, with the code on its label."""

import asyncio
import json
from pathlib import Path

import click

from agent.local.cli.answer import json_option

DATA_DIR = Path("/var/lib/poleside")


@click.command()
@click.option("--center", required=True, help="Where to enrol: https://host[:port].")
@click.option(
    "--code", required=True, envvar="POLESIDE_CODE", help="On the label; better in POLESIDE_CODE."
)
@click.option(
    "--ca",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Who signed the center's certificate (PEM).",
)
@click.option("--pin", default="", help="SHA-256 of the center's certificate, instead of --ca.")
@click.option("--data-dir", type=click.Path(path_type=Path), default=DATA_DIR, show_default=True)
@click.option(
    "--config", type=click.Path(path_type=Path), help="Settings file to write; else they're shown."
)
@click.option("--wait-s", type=float, help="How long to wait for approval; else for ever.")
@json_option
def enrol(
    center: str,
    code: str,
    ca: Path | None,
    pin: str,
    data_dir: Path,
    config: Path | None,
    wait_s: float | None,
    *,
    as_json: bool,
) -> None:
    """Enrol this box: make its key, prove the code, wait until the center approves.

    The code itself is never sent, the key never leaves the box. After a power cut run it again.
    """
    from agent.core.clock import SystemClock
    from agent.core.errors import EnrolError
    from agent.core.lock import FileLock
    from agent.enrol.center_door import CenterDoor, Trust
    from agent.enrol.enrolment import Enrolment
    from agent.enrol.identity import IdentityFiles, as_toml, settings_of, write_settings

    clock, data_dir = SystemClock(), data_dir.absolute()
    files = IdentityFiles.in_data_dir(data_dir)
    door = CenterDoor(center, Trust(ca, pin))
    try:
        files.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise EnrolError(
            "enrol.storage",
            f"The data folder {data_dir} can't be written: {error.strerror}.",
            hint="Run as the agent's user, or give another folder with --data-dir.",
        ) from error
    with FileLock(files.folder / "enrol.lock", clock, patience_s=1.0):
        identity = files.read()
        was_enrolled = identity is not None
        if identity is None:
            enrolment = Enrolment(clock, files, door, code, lambda text: click.echo(text, err=True))
            identity = asyncio.run(enrolment.run(wait_s))
    table = settings_of(identity, data_dir)
    is_new = False if config is None else write_settings(config, table)
    if as_json:
        told = {"site": identity.site, "box": identity.box, "settings": table}
        click.echo(json.dumps(told, default=str))
    elif config is None:
        click.echo(as_toml(table), nl=False)
    if was_enrolled and not is_new:
        raise EnrolError(
            "enrol.already",
            f"This box is enrolled already, as {identity.site}/{identity.box}.",
            hint=f"To begin anew, move {files.folder} away and ask the center for a new code.",
        )
    click.echo(f"Enrolled as {identity.site}/{identity.box}.", err=True)
