"""`poleside swap box|camera`: another box or another camera in a place, without the office."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.local.cli.answer import json_option, show
from agent.local.cli.audited import local_user, note
from agent.local.cli.box_in_reach import Box, box_options
from agent.local.cli.progress import working

if TYPE_CHECKING:
    from agent.settings.model import BufferSettings


_STRANGER = "camera.stranger"
_MEET_S = 90.0


@click.group()
def swap() -> None:
    """Put another box or another camera in a place; what was set up there stays.

    \b
    poleside swap box --center https://… --ca FILE     # code on the label in POLESIDE_CODE
    poleside swap camera gate --onvif-url http://192.168.7.30/onvif/device_service
    """


@swap.command(epilog="Exit code: 0 staged, take it up with a restart; 1 refused or unreachable.")
@box_options
@click.option("--center", required=True, help="Where to enrol: https://host[:port].")
@click.option(
    "--code", required=True, envvar="POLESIDE_CODE", help="On the label; better in POLESIDE_CODE."
)
@click.option("--ca", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--pin", default="", help="SHA-256 of the center's certificate, instead of --ca.")
@click.option("--wait-s", type=float, help="How long to wait for approval; else for ever.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@json_option
def box(
    box: Box,
    center: str,
    code: str,
    ca: Path | None,
    pin: str,
    wait_s: float | None,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Take the place of a dead box, with its disk moved here.

    The center lets this box in under the old one's name (`poleside center approve NEW --take-over
    SITE/BOX`) and turns the old certificate away. At its next start the agent takes the place up:
    new key, new epoch; recordings, zones, calibration and what waits for the center are kept.
    """
    from agent.app.disk_owner import accept_disk
    from agent.core.clock import SystemClock
    from agent.core.lock import FileLock
    from agent.enrol.center_door import CenterDoor, Trust
    from agent.enrol.enrolment import Enrolment
    from agent.enrol.identity import IdentityFiles

    clock = SystemClock()
    _tell_disk(box.data_dir, is_aside=as_json)
    if not yes:
        click.confirm("Take this place with this disk?", abort=True)
    files = IdentityFiles.staged(box.data_dir)
    files.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    door = CenterDoor(center, Trust(ca, pin))
    with FileLock(box.data_dir / "keys" / "enrol.lock", clock, patience_s=1.0):
        identity = files.read()
        if identity is None:
            enrolment = Enrolment(clock, files, door, code, lambda text: click.echo(text, err=True))
            identity = asyncio.run(enrolment.run(wait_s))
    is_disk_taken = accept_disk(box.data_dir, _buffer(box))
    note(box.data_dir, "box.swap_staged", detail=f"{identity.site}/{identity.box}")
    if as_json:
        told = {"site": identity.site, "box": identity.box, "is_disk_taken": is_disk_taken}
        click.echo(json.dumps(told))
        return
    if is_disk_taken:
        click.echo("This disk is the box's own from now on; it knew another one.")
    click.echo(f"This box will be {identity.site}/{identity.box}.")
    click.echo("Restart the agent to take it up: systemctl restart poleside")


@swap.command()
@box_options
@click.argument("camera_id")
@click.option("--onvif-url", default="", help="Where the new camera answers, if elsewhere.")
@click.option("--username", default="", help="Its login, if another.")
@click.option(
    "--password-file", type=click.Path(path_type=Path, exists=True), help="A file with it alone."
)
@click.option("--confirm", "is_right", is_flag=True, help="Zones and calibration were checked.")
@json_option
def camera(
    box: Box,
    camera_id: str,
    onvif_url: str,
    username: str,
    password_file: Path | None,
    *,
    is_right: bool,
    as_json: bool,
) -> None:
    """Tell the box of another camera in the place CAMERA_ID; id, zones and recordings stay.

    Without options it says who hangs there. With an address or a login it changes those, waits
    until the new camera is met, and lets the box log in to it: not before this word. Its
    calibration is marked to be checked until --confirm.
    """
    from agent.cameras import confirmation
    from agent.commands.questions import AskCameras, ChangeHere

    changed: dict[str, Any] = {"camera_id": camera_id}
    if onvif_url:
        changed["onvif_url"] = onvif_url
    if username or password_file:
        password = password_file.read_text("utf-8").rstrip("\r\n") if password_file else ""
        changed |= {"username": username, "password": password}
    if len(changed) > 1:
        box.ask(ChangeHere({"cameras": [changed]}, local_user()), object)
        note(box.data_dir, "camera.swap", detail=camera_id)
        _let_in(box, camera_id)
    if is_right:
        confirmation.give(box.data_dir, camera_id)
        note(box.data_dir, "camera.confirm", detail=camera_id)
        show({"confirmed": camera_id}, [f"{camera_id} is right as it is now."], as_json=as_json)
        return
    known = box.ask(AskCameras(), dict).get(camera_id)
    if known is None:
        raise click.ClickException(f"There is no camera {camera_id} with an ONVIF address here.")
    if as_json:
        click.echo(json.dumps({"camera_id": camera_id, **known}, default=str))
        return
    device = known["device"] or {}
    click.echo(
        f"{camera_id}: {device.get('manufacturer', '')} {device.get('model', 'not known yet')},"
        f" serial {device.get('serial') or 'not told'}"
    )
    if known["is_exchanged"]:
        click.echo("Another camera than the calibration was made with: check zones and scale,")
        click.echo(f"then `poleside swap camera {camera_id} --confirm`.")
    if known["candidates"]:
        click.echo(f"It may be at: {', '.join(known['candidates'])} (--onvif-url)")


def _let_in(box: Box, camera_id: str) -> None:
    """Wait for the stranger and give one word for him; a second would confirm his calibration."""
    from agent.cameras import confirmation
    from agent.commands.questions import AskCameras
    from agent.core.clock import SystemClock

    clock, was_let_in = SystemClock(), False
    until_s = clock.monotonic_s() + _MEET_S
    with working("Waiting for the new camera"):
        while clock.monotonic_s() < until_s:
            known = box.ask(AskCameras(), dict).get(camera_id, {})
            if known.get("is_exchanged"):
                return
            if known.get("code") == _STRANGER and not was_let_in:
                confirmation.give(box.data_dir, camera_id)
                was_let_in = True
            asyncio.run(clock.sleep_s(1.0))
    click.echo("The new camera was not met yet; look again in a minute.", err=True)


def _tell_disk(data_dir: Path, *, is_aside: bool) -> None:
    from agent.app.take_over import look_at_disk
    from agent.core.clock import SystemClock

    facts = look_at_disk(data_dir, SystemClock().utc_now())
    if not facts.place and not facts.cameras:
        click.echo(f"{data_dir} holds nothing of another box.", err=is_aside)
        return
    click.echo(f"{data_dir} is the disk of {facts.place or 'a box without a name'}.", err=is_aside)
    if facts.first_at and facts.last_until:
        span = f"{facts.first_at:%Y-%m-%d %H:%M} to {facts.last_until:%Y-%m-%d %H:%M} UTC"
        held = f"Recordings of {', '.join(facts.cameras)}: {span}, {facts.bytes / 1e9:.1f} GB"
        click.echo(held, err=is_aside)


def _buffer(box: Box) -> BufferSettings:
    from agent.settings.load import read_file, validate
    from agent.settings.model import BufferSettings

    return validate(read_file(box.config)).buffer if box.config else BufferSettings()
