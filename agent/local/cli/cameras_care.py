"""`poleside cameras settings|clock|encoder|password|reboot|dump`: looking after one camera."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.local.cli.answer import json_option, show
from agent.local.cli.cameras_target import Target, target_options

if TYPE_CHECKING:
    from agent.cameras.media import AskedGot


@click.command()
@target_options
@click.option("--set", "is_set", is_flag=True, help="Set it to this machine's time.")
def clock(target: Target, *, is_set: bool, as_json: bool) -> None:
    """Say how far the camera's clock is off; set it, and look whether it took it."""
    from agent.cameras import care

    line = target.line()
    try:
        if is_set:
            done = care.set_clock(line, target.clock)
            answer = {"before_s": done.before.ahead_s, "after_s": done.after.ahead_s}
        else:
            answer = {"ahead_s": line.link.measure_clock().ahead_s}
    finally:
        line.close()
    words = [
        f"{name.removesuffix('_s'):8} {'not told' if value is None else f'{value:+.1f} s'}"
        for name, value in answer.items()
    ]
    show(answer, words, as_json=as_json)


@click.command()
@target_options
@click.option("--profile", required=True, help="Token of the profile (see `probe`).")
@click.option("--encoding", help="H264 or H265.")
@click.option("--width", type=int)
@click.option("--height", type=int)
@click.option("--fps", type=float)
@click.option("--kbps", type=int, help="Limit in kbit/s.")
@click.option("--gop", type=int, help="Frames from key frame to key frame.")
def encoder(
    target: Target,
    profile: str,
    encoding: str | None,
    width: int | None,
    height: int | None,
    fps: float | None,
    kbps: int | None,
    gop: int | None,
    *,
    as_json: bool,
) -> None:
    """Change a stream's encoder; says what was asked and what the camera has now."""
    from agent.cameras import media

    wish = media.EncoderWish(encoding, width, height, fps, kbps, gop)
    line = target.line()
    try:
        found = [p for p in media.profiles(line) if p.stream.token == profile]
        if not found:
            raise click.BadParameter(f"the camera has no profile {profile}")
        done = media.set_encoder(line, found[0], wish)
    finally:
        line.close()
    lines = [
        f"{'ok ' if a.is_same else 'NOT'} {a.name:9} asked {a.asked}, got {a.got}" for a in done
    ]
    show(done, lines, as_json=as_json)


@click.command()
@target_options
@click.option(
    "--new-password-file",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to take it from; when there is none, a new one is made and written there first.",
)
def password(target: Target, new_password_file: Path, *, as_json: bool) -> None:
    """Give the camera another password, prove it, and set it back when it does not work."""
    from agent.cameras import care
    from agent.core.whole_file import write_whole

    if not new_password_file.exists():
        write_whole(new_password_file, care.new_password().encode(), 0o600)
    new = new_password_file.read_text("utf-8").rstrip("\r\n")
    line = target.line()
    try:
        care.change_password(line, target.login, new, target.clock)
    finally:
        line.close()
    text = f"The camera takes the password in {new_password_file} now."
    show({"changed": True, "file": str(new_password_file)}, [text], as_json=as_json)


@click.command()
@target_options
@click.confirmation_option(prompt="The camera will be away for a minute or so. Go on?")
def reboot(target: Target, *, as_json: bool) -> None:
    """Have the camera start anew."""
    from agent.cameras import care

    line = target.line()
    try:
        care.reboot(line)
    finally:
        line.close()
    show({"rebooting": True}, ["It starts anew."], as_json=as_json)


@click.command()
@target_options
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
def dump(target: Target, output: Path, *, as_json: bool) -> None:
    """Save all the camera tells of itself, secrets taken out, for a support case."""
    import msgspec

    from agent.cameras.dump import dump as take

    line = target.line()
    try:
        answers = take(line, target.login.password)
    finally:
        line.close()
    output.write_bytes(msgspec.json.format(msgspec.json.encode(answers)))
    show({"file": str(output), "answers": len(answers)}, [f"{output}"], as_json=as_json)


@click.command()
@click.argument("camera_id")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path("/var/lib/poleside"),
    show_default=True,
)
@json_option
def confirm(camera_id: str, data_dir: Path, *, as_json: bool) -> None:
    """Tell the box that CAMERA_ID is right as it is now: who hangs there, and its settings.

    Do this after an exchange: first to let the box log in to the new camera, and again once zones
    and calibration are checked; or to keep settings that were changed on purpose. The running
    agent takes it up within seconds.
    """
    from agent.cameras import confirmation
    from agent.core.errors import CommandError

    if camera_id not in (known := _known_ids(data_dir)):
        told = ", ".join(known) or "no camera; is this the box's data folder?"
        raise CommandError(
            "camera.unknown", f"There is no camera {camera_id}.", hint=f"{data_dir} knows {told}."
        )
    confirmation.give(data_dir, camera_id)
    show({"confirmed": camera_id}, [f"{camera_id} is confirmed."], as_json=as_json)


def _known_ids(data_dir: Path) -> list[str]:
    """Return the cameras that the agent has a folder for, or has spoken to."""
    from agent.buffer.reading import camera_folder
    from agent.cameras.confirmation import FOLDER

    folders = camera_folder(data_dir, "any").parent.glob("*/")
    spoken_to = (data_dir / FOLDER).glob("*.json")
    return sorted({folder.name for folder in folders} | {file.stem for file in spoken_to})


@click.command("settings")
@target_options
@click.option("--save", type=click.Path(path_type=Path, dir_okay=False), help="Keep them here.")
@click.option(
    "--compare",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Say what differs from a kept file.",
)
@click.option("--restore", is_flag=True, help="With --compare: set it back.")
def camera_settings(
    target: Target, save: Path | None, compare: Path | None, *, restore: bool, as_json: bool
) -> None:
    """Keep a picture of the camera's settings, compare with it, set the camera back to it.

    Encoders, imaging, texts and masks are set back. Presets are only by the order `camera.care`,
    as they move the head; network, users and time never by a machine.
    """
    import msgspec

    from agent.cameras import care
    from agent.cameras.restore import restore as set_back
    from agent.cameras.settings_picture import settings_picture

    line = target.line()
    try:
        done: tuple[AskedGot, ...] = ()
        if compare is not None and restore:
            done = set_back(line, _kept(compare))
        now = settings_picture(line)
    finally:
        line.close()
    if save is not None:
        save.write_bytes(msgspec.json.format(msgspec.json.encode(now)))
    changed = care.drift(_kept(compare), now) if compare is not None else ()
    answer = {"hash": care.picture_hash(now), "settings": len(now), "changed": changed}
    lines = [f"{len(now)} settings, hash {answer['hash']}"]
    lines += [f"NOT set back: {a.name} is {a.got}" for a in done if not a.is_same]
    lines += [f"{d.path}: was {d.was or '-'}, is {d.now or '-'}" for d in changed]
    show(answer, lines, as_json=as_json)


def _kept(file: Path) -> dict[str, str]:
    import msgspec

    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise click.BadParameter(f"{file} holds no settings: {error}") from error


CARE = (confirm, camera_settings, clock, encoder, password, reboot, dump)
