"""`poleside cameras ptz`: where a camera's head looks, and moving it, without a running agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agent.local.cli.answer import show
from agent.local.cli.cameras_target import Target, target_options

if TYPE_CHECKING:
    from agent.cameras.port import PtzPosition
    from agent.cameras.ptz_head import HeadFacts, PtzHead
    from agent.cameras.ptz_presets import Preset
    from agent.cameras.zeep_backend import ZeepCamera

_ACTIONS = ("status", "presets", "goto", "turn", "home", "move", "stop")
_ARRIVED_S = 30.0
_LOOK_S = 0.2


@click.command()
@target_options
@click.argument("action", type=click.Choice(_ACTIONS))
@click.option("--pan", type=float, help="move: -1 (left) to 1 (right), share of full speed.")
@click.option("--tilt", type=float, help="move: -1 (down) to 1 (up).")
@click.option("--zoom", type=float, help="move: -1 (wide) to 1 (near).")
@click.option("--preset", default="", help="goto: token of a preset (see `presets`).")
@click.option("--seconds", default=1.0, show_default=True, help="move: then stop; at most 10.")
def ptz(
    target: Target,
    action: str,
    pan: float | None,
    tilt: float | None,
    zoom: float | None,
    preset: str,
    seconds: float,
    *,
    as_json: bool,
) -> None:
    """Ask where the camera looks, list its presets, send it somewhere, move or stop it.

    \b
        poleside cameras ptz 192.168.1.64 status --user admin
        poleside cameras ptz 192.168.1.64 goto --preset 3 --user admin
        poleside cameras ptz 192.168.1.64 goto --pan 0.2 --tilt -0.1 --user admin
        poleside cameras ptz 192.168.1.64 move --pan 0.5 --seconds 2 --user admin

    For `goto` and `turn`, numbers are the camera's own: `status` shows its ranges. Nobody else is
    asked and no forbidden sector holds: on a box, cameras are moved through the agent.
    """
    from agent.cameras.port import CameraNotSupported, Place
    from agent.cameras.ptz_head import PtzHead
    from agent.cameras.ptz_sectors import Sectors

    place = Place(pan, tilt, zoom)
    _check(action, place, preset, seconds)
    control = target.control()
    try:
        if not control.facts().has_ptz:
            raise CameraNotSupported("this camera cannot be moved")
        head = PtzHead(control, Sectors())
        if action == "move":
            _move(control, place, seconds)
        elif action == "stop":
            control.stop()
        elif action in ("goto", "turn", "home"):
            _go(control, head, action, place, preset)
        answer: dict[str, Any] = {"action": action, "position": control.position()}
        lines = [_position_line(answer["position"])]
        if action == "status":
            answer["head"] = head.facts()
            lines += _head_lines(answer["head"])
        elif action == "presets":
            answer["presets"] = head.presets()
            lines = [_preset_line(kept) for kept in answer["presets"]] or ["It has no presets."]
    finally:
        control.close()
    show(answer, lines, as_json=as_json)


def _check(action: str, place: Any, preset: str, seconds: float) -> None:
    told = [value for value in (place.pan, place.tilt, place.zoom) if value is not None]
    if action == "move" and not (0 < seconds <= 10 and all(-1 <= speed <= 1 for speed in told)):
        raise click.BadParameter("speeds are -1 to 1, seconds above 0 and at most 10")
    if action == "goto" and bool(told) == bool(preset):
        raise click.BadParameter("goto needs --preset, or --pan, --tilt and --zoom")
    if action == "turn" and not told:
        raise click.BadParameter("turn needs --pan, --tilt or --zoom")


def _move(control: ZeepCamera, speeds: Any, seconds: float) -> None:
    import threading

    from agent.core.clock import wait_s

    try:
        control.move(speeds.pan or 0.0, speeds.tilt or 0.0, speeds.zoom or 0.0, seconds)
        wait_s(threading.Event(), seconds)
    finally:
        control.stop()


def _go(control: ZeepCamera, head: PtzHead, action: str, place: Any, preset: str) -> None:
    """Send it there, and wait until it says that it stands."""
    import threading

    from agent.core.clock import wait_s

    if action == "home":
        head.goto_home()
    elif action == "turn":
        head.turn(place)
    elif preset:
        head.goto_preset(preset)
    else:
        head.goto(place)
    waited_s = 0.0
    while control.position().is_moving and waited_s < _ARRIVED_S:
        wait_s(threading.Event(), _LOOK_S)
        waited_s += _LOOK_S


def _position_line(at: PtzPosition) -> str:
    return f"pan {at.pan}, tilt {at.tilt}, zoom {at.zoom}; moving: {at.is_moving}"


def _head_lines(facts: HeadFacts) -> list[str]:
    spans = {"pan": facts.pan, "tilt": facts.tilt, "zoom": facts.zoom}
    lines = [
        f"{name:6} {'no places' if span is None else f'{span.low:g} to {span.high:g}'}"
        for name, span in spans.items()
    ]
    return [
        *lines,
        f"home   {'yes' if facts.has_home else 'no'}; presets {facts.most_presets} at most",
        f"also   {', '.join(facts.auxiliaries) or '-'}",
    ]


def _preset_line(kept: Preset) -> str:
    at = kept.place
    where = (
        "place not told" if at.pan is None else f"pan {at.pan:g}, tilt {at.tilt}, zoom {at.zoom}"
    )
    return f"{kept.token:6} {kept.name:24} {where}"
