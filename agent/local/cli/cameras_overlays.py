"""`poleside cameras osd|masks`: texts in the picture and privacy masks of one camera."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from agent.local.cli.answer import show
from agent.local.cli.cameras_target import Target, target_options

if TYPE_CHECKING:
    from agent.cameras.overlays import Mask, Overlay

_CORNERS = ("UpperLeft", "UpperRight", "LowerLeft", "LowerRight")


@click.command()
@target_options
@click.argument("action", type=click.Choice(("list", "set", "add", "remove")), default="list")
@click.option("--token", default="", help="Which text (see `list`); for set and remove.")
@click.option("--text", default="", help="What it shall say; for set and add.")
@click.option("--corner", type=click.Choice(_CORNERS), default=_CORNERS[0], help="For add.")
def osd(target: Target, action: str, token: str, text: str, corner: str, *, as_json: bool) -> None:
    """List the texts in the camera's picture, change one, add one, take one away.

    What was written is read back: the answer says what the camera shows now.

    \b
        poleside cameras osd 192.168.1.64 --user admin
        poleside cameras osd 192.168.1.64 set --token osd-1 --text "Pole 7" --user admin
        poleside cameras osd 192.168.1.64 add --text "Case 8" --corner LowerLeft --user admin
    """
    from agent.cameras import overlays

    _check(action, token=token if action in ("set", "remove") else "-")
    if action in ("set", "add") and not text.strip():
        raise click.BadParameter(f"{action} needs --text")
    line, got = target.line(), None
    try:
        if action == "set":
            got = overlays.set_text(line, token, text)
        elif action == "add":
            got = overlays.add_text(line, text, corner).text
        elif action == "remove":
            overlays.remove_text(line, token)
        shown: tuple[Overlay, ...] = overlays.overlays(line)
    finally:
        line.close()
    answer: dict[str, Any] = {"texts": shown}
    lines = [f"{one.token:12} {one.text}" for one in shown] or ["It shows no texts."]
    if got is not None:
        answer |= {"asked": text, "got": got}
        lines.insert(0, f"{'ok ' if got == text else 'NOT'} asked {text!r}, got {got!r}")
    show(answer, lines, as_json=as_json)


@click.command()
@target_options
@click.argument("action", type=click.Choice(("list", "add", "remove")), default="list")
@click.option("--token", default="", help="Which mask (see `list`); for remove.")
@click.option("--corner", "corners", type=(float, float), multiple=True, help="For add: X Y.")
def masks(
    target: Target,
    action: str,
    token: str,
    corners: tuple[tuple[float, float], ...],
    *,
    as_json: bool,
) -> None:
    """List the camera's privacy masks, cover a polygon, take a mask away.

    Corners are fractions of the picture, 0 0 its upper left. The answer has the masks as the camera
    says it has them now; look at a snapshot before you rely on one.

    \b
        poleside cameras masks 192.168.1.64 add --corner 0 0 --corner 0.3 0 --corner 0.3 0.5 \\
            --user admin
    """
    from agent.cameras import overlays

    _check(action, token=token if action == "remove" else "-")
    if action == "add" and (len(corners) < 3 or not all(0 <= c <= 1 for p in corners for c in p)):
        raise click.BadParameter("add needs --corner three times or more, each 0 to 1")
    line = target.line()
    try:
        if action == "add":
            overlays.add_mask(line, corners)
        elif action == "remove":
            overlays.remove_mask(line, token)
        shown = overlays.masks(line)
    finally:
        line.close()
    lines = [_mask_line(mask) for mask in shown] or ["It has no masks."]
    show({"masks": shown}, lines, as_json=as_json)


def _check(action: str, *, token: str) -> None:
    if not token:
        raise click.BadParameter(f"{action} needs --token")


def _mask_line(mask: Mask) -> str:
    corners = " ".join(f"{x:.3f},{y:.3f}" for x, y in mask.polygon)
    return f"{mask.token:12} {corners}"
