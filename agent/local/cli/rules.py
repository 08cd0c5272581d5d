"""`poleside rules test`: what a camera's rules make of a clip, drawn so that a person can look."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.core.errors import PolesideError, SettingsError
from agent.local.cli.progress import say_over

if TYPE_CHECKING:
    from agent.exam.sitting import Sitting
    from agent.settings.model import CameraSettings

_PATH = click.Path(path_type=Path)


@click.group()
def rules() -> None:
    """Try a camera's rules on recorded video."""


@rules.command()
@click.option("--camera", required=True, help="The camera whose rules are tried.")
@click.option("--clip", "clip_path", required=True, type=_PATH, help="A video file.")
@click.option("--out", required=True, type=_PATH, help="A film (.mp4) or a picture (.jpg).")
@click.option("--config", type=_PATH, default=Path("/etc/poleside/poleside.toml"))
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")
def test(camera: str, clip_path: Path, out: Path, config: Path, *, as_json: bool) -> None:
    """Show CLIP to the rules of a camera; draw zones, tracks and what held.

    \b
    poleside rules test --camera gate --clip gate.mp4 --out seen.mp4
    """
    from agent.detect.detector import open_detector
    from agent.exam.footage import open_clip
    from agent.exam.rule_film import draw
    from agent.exam.sitting import sit
    from agent.local.cli.present_settings import present

    try:
        settings = present(config)
        own = settings.camera(camera)
        if own is None:
            raise _no_camera(camera, settings.cameras)
        model = Path(settings.detector.model) if settings.detector.model else None
        sitting = sit(open_clip(clip_path), own, open_detector(model), _tell("looking"))
        frames = draw(sitting, out, _tell("drawing"))
        say_over("")
    except PolesideError as error:
        if not as_json:
            raise
        click.echo(json.dumps({"code": error.code, "message": error.message, "hint": error.hint}))
        sys.exit(1)
    _report(sitting, out, frames, as_json=as_json)


def _report(sitting: Sitting, out: Path, frames: int, *, as_json: bool) -> None:
    alarms = [
        {"kind": one.behaviour, "rule_id": one.rule_id, "at_s": one.at_s, "end_s": one.end_s}
        for one in sitting.alarms
    ]
    if as_json:
        click.echo(json.dumps({"alarms": alarms, "out": str(out), "frames": frames}))
        return
    for one in sitting.alarms:
        until = "the end" if one.end_s is None else f"{one.end_s:.1f} s"
        click.echo(f"{one.behaviour} {one.rule_id}: {one.at_s:.1f} s to {until}")
    click.echo(f"{len(alarms)} alarms in {sitting.duration_s:.0f} s; {frames} frames in {out}")


def _no_camera(camera: str, cameras: tuple[CameraSettings, ...]) -> SettingsError:
    known = ", ".join(one.camera_id for one in cameras) or "none"
    return SettingsError(
        "rules.no_camera", f"There is no camera {camera}.", hint=f"The settings know: {known}."
    )


def _tell(what: str) -> Callable[[float], None]:
    return lambda done: say_over(f"{what} {done:4.0%}")
