"""`poleside health`: the box's light and its faults, as its agent tells; else from its files."""

import json
import sys
import urllib.request
from collections.abc import Mapping
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
from agent.health import note
from agent.local.cli.spoken import lang_option, words_of
from agent.local.cli.table import light_word
from agent.settings.model import Settings

ANSWER_WITHIN_S = 3.0
STILL_RECORDED = timedelta(minutes=2)


class HealthFault(Struct, frozen=True, kw_only=True):
    """One thing that is wrong."""

    code: str
    light: str
    sentence: str
    hint: str = ""
    camera_id: str | None = None


class Health(Struct, frozen=True, kw_only=True):
    """What `--json` prints. `is_running`: told by the agent itself, not by its files.

    `works`: "link" when it is up, and "camera/ID" of each that is recorded; None: not known.
    """

    light: str
    is_running: bool
    faults: tuple[HealthFault, ...]
    works: tuple[str, ...] | None = None


@click.command(epilog="Exit code: 0 when the light is green or yellow, 1 when it is red.")
@click.option("--config", type=click.Path(path_type=Path), help="The box's settings file.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="The agent's data folder.")
@click.option("--page", help="Where its page answers, HOST:PORT; else as set.")
@lang_option
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")
def health(
    config: Path | None, data_dir: Path | None, page: str | None, lang: str, *, as_json: bool
) -> None:
    """Tell whether the box does its work, and what is wrong with what to do.

    \b
    poleside health
    poleside health --config /etc/poleside/poleside.toml --json
    poleside health --data-dir /mnt/taken-disk/poleside
    """
    from agent.local.cli.present_settings import present

    settings = present(config) if config else Settings()
    folder = data_dir or Path(settings.data_dir)
    words = words_of(lang)
    state = None
    if config or page or not data_dir:
        state = _ask(page or settings.page.listen) or _noted(folder)
    found = _of_state(state, lang) if state is not None else of_files(folder, words)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        show_health(found, words)
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


def _noted(data_dir: Path) -> dict[str, Any] | None:
    """Return what the agent notes beside its page, which may ask for a login."""
    found = note.read(data_dir / "run", SystemClock())
    return None if found is None else msgspec.to_builtins(found)


def _of_state(state: dict[str, Any], lang: str) -> Health:
    return Health(
        light=state["light"],
        is_running=True,
        faults=tuple(
            HealthFault(
                code=fault["code"],
                light=fault["light"],
                sentence=fault[f"sentence_{lang}"],
                hint=fault[f"hint_{lang}"],
                camera_id=fault.get("camera_id"),
            )
            for fault in state["faults"]
        ),
        works=_works(state),
    )


def _works(state: dict[str, Any]) -> tuple[str, ...] | None:
    """Return what works, by the page's state or by the agent's note."""
    if "link" not in state:
        return state.get("works")
    cameras = (
        f"camera/{one['camera_id']}"
        for one in state["cameras"]
        if one["is_recording"]
        or (one.get("is_event_only") and one["state"] in ("online", "degraded"))
    )
    return (*cameras, *(("link",) if state["link"]["is_connected"] else ()))


def of_files(data_dir: Path, words: Mapping[str, str]) -> Health:
    """The agent does not answer: that is the first fault; its files tell the rest."""
    faults = [
        HealthFault(
            code="agent.not_running",
            light="red",
            sentence=words["health.not-running"],
            hint=words["health.not-running-do"],
        )
    ]
    now = SystemClock().utc_now()
    try:
        for folder in report.cameras_in(data_dir):
            faults += _of_camera(report.camera_buffer(folder, now), now, words)
    except PolesideError as error:
        faults.append(
            HealthFault(code=error.code, light="red", sentence=error.message, hint=error.hint)
        )
    return Health(light="red", is_running=False, faults=tuple(faults))


def _of_camera(buffer: CameraBuffer, now: datetime, words: Mapping[str, str]) -> list[HealthFault]:
    last = buffer.last_until
    if last is not None and now - last < STILL_RECORDED:
        return []
    ends = words["health.ends"].format(at=f"{last:%Y-%m-%d %H:%M}") if last else ""
    since = ends or words["health.nothing-stored"]
    why = f" ({buffer.open_gap})" if buffer.open_gap else ""
    return [
        HealthFault(
            code="camera.not_recorded",
            light="red",
            sentence=words["health.not-recorded"].format(
                camera=buffer.camera_id, why=why, since=since
            ),
            hint=words["health.not-recorded-do"],
            camera_id=buffer.camera_id,
        )
    ]


def show_health(found: Health, words: Mapping[str, str]) -> None:
    """Print it for a person."""
    count = words["health.faults"].format(n=len(found.faults))
    click.echo(f"{light_word(found.light, words)}  {count}")
    for fault in found.faults:
        click.echo(f"{light_word(fault.light, words)}  {fault.sentence} [{fault.code}]")
        if fault.hint:
            click.echo(f"        → {fault.hint}")
