"""`poleside health`: the box's light and its faults, from its page; without it, from its files."""

import json
import sys
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct

from agent.buffer import report
from agent.buffer.report import CameraBuffer
from agent.core.clock import SystemClock
from agent.core.errors import PolesideError
from agent.settings.model import Settings

ANSWER_WITHIN_S = 3.0
STILL_RECORDED = timedelta(minutes=2)
_COLOURS = {"green": "green", "yellow": "yellow", "red": "red"}


class HealthFault(Struct, frozen=True, kw_only=True):
    """One thing that is wrong."""

    code: str
    light: str
    sentence: str
    hint: str = ""
    camera_id: str | None = None


class Health(Struct, frozen=True, kw_only=True):
    """What `--json` prints. `is_running`: told by the agent itself, not by its files."""

    light: str
    is_running: bool
    faults: tuple[HealthFault, ...]


@click.command(epilog="Exit code: 0 when the light is green or yellow, 1 when it is red.")
@click.option("--config", type=click.Path(path_type=Path), help="The box's settings file.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="The agent's data folder.")
@click.option("--page", help="Where its page answers, HOST:PORT; else as set.")
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")
def health(config: Path | None, data_dir: Path | None, page: str | None, *, as_json: bool) -> None:
    """Tell whether the box does its work, and what is wrong with what to do.

    \b
    poleside health
    poleside health --config /etc/poleside/poleside.toml --json
    poleside health --data-dir /mnt/taken-disk/poleside
    """
    from agent.settings.load import load

    settings = load(config) if config else Settings()
    folder = data_dir or Path(settings.data_dir)
    state = None if data_dir and not (config or page) else _ask(page or settings.page.listen)
    found = _of_state(state) if state is not None else of_files(folder)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        show_health(found)
    sys.exit(1 if found.light == "red" else 0)


def _ask(listen: str) -> dict[str, Any] | None:
    """Return the page's state, None when nobody answers there."""
    try:
        with urllib.request.urlopen(
            f"http://{listen}/api/state", timeout=ANSWER_WITHIN_S
        ) as answer:
            state = json.load(answer)
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) and "light" in state else None


def _of_state(state: dict[str, Any]) -> Health:
    return Health(
        light=state["light"],
        is_running=True,
        faults=tuple(
            HealthFault(
                code=fault["code"],
                light=fault["light"],
                sentence=fault["sentence_en"],
                hint=fault["hint_en"],
                camera_id=fault.get("camera_id"),
            )
            for fault in state["faults"]
        ),
    )


def of_files(data_dir: Path) -> Health:
    """The agent does not answer: that is the first fault; its files tell the rest."""
    faults = [
        HealthFault(
            code="agent.not_running",
            light="red",
            sentence="The agent does not answer on its page.",
            hint="Start it (`systemctl start poleside`), or look at its log.",
        )
    ]
    now = SystemClock().utc_now()
    try:
        for folder in report.cameras_in(data_dir):
            faults += _of_camera(report.camera_buffer(folder, now), now)
    except PolesideError as error:
        faults.append(
            HealthFault(code=error.code, light="red", sentence=error.message, hint=error.hint)
        )
    return Health(light="red", is_running=False, faults=tuple(faults))


def _of_camera(buffer: CameraBuffer, now: datetime) -> list[HealthFault]:
    last = buffer.last_until
    if last is not None and now - last < STILL_RECORDED:
        return []
    since = "nothing is stored" if last is None else f"the last video ends {last:%Y-%m-%d %H:%M}Z"
    why = f" ({buffer.open_gap})" if buffer.open_gap else ""
    return [
        HealthFault(
            code="camera.not_recorded",
            light="red",
            sentence=f"Camera {buffer.camera_id} is not recorded{why}: {since}.",
            hint="`poleside buffer gaps` lists all times without video.",
            camera_id=buffer.camera_id,
        )
    ]


def show_health(found: Health) -> None:
    """Print it for a person."""
    light = click.style(found.light.upper(), fg=_COLOURS.get(found.light), bold=True)
    click.echo(f"{light}  {len(found.faults)} fault(s)")
    for fault in found.faults:
        click.echo(f"{fault.light:<6}  {fault.sentence} [{fault.code}]")
        if fault.hint:
            click.echo(f"        → {fault.hint}")
