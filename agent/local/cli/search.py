"""`poleside search`: who and what was seen, by class, colour, zone and time; no video is moved."""

from __future__ import annotations

import base64
import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.core.errors import PolesideError, SettingsError
from agent.local.cli.time_range import time_range
from agent.sightings.words import BAGS, COLOURS, DIRECTIONS, SIZES

if TYPE_CHECKING:
    from agent.sightings.store import Sighting

_COLOUR = click.Choice([colour for colour in COLOURS if colour != "unknown"])


@click.command()
@click.option("--camera", "cameras", multiple=True, help="A camera's id; else all of them.")
@click.option("--class", "label", default="", help="person, car, Vehicle, Animal, ...")
@click.option("--upper", type=_COLOUR, help="Colour of the upper clothing (of a thing: its own).")
@click.option("--lower", type=_COLOUR, help="Colour of the lower clothing.")
@click.option("--bag", type=click.Choice(BAGS[1:]), help="A bag that was seen on the person.")
@click.option("--hat", type=_COLOUR, help="Colour of a cap or helmet that no hair has.")
@click.option("--size", type=click.Choice(tuple(SIZES)), help="How high it was in the picture.")
@click.option("--direction", type=click.Choice(DIRECTIONS), help="Its way through the picture.")
@click.option("--subject", default="", help="All tracks linked to this id, on any camera.")
@click.option("--zone", help="Where the feet were: x,y x,y x,y ... as fractions of the picture.")
@click.option("--from", "since", help="Start, ISO 8601; without a zone it is UTC.")
@click.option("--to", "until", help="End, ISO 8601; without a zone it is UTC.")
@click.option("--last", "last_s", type=float, help="Instead of a range: the last SECONDS.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--sheet", type=click.Path(path_type=Path), help="Write the pictures as one JPEG.")
@click.option("--data-dir", type=click.Path(path_type=Path), default="/var/lib/poleside")
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")
def search(
    cameras: tuple[str, ...],
    label: str,
    upper: str | None,
    lower: str | None,
    bag: str | None,
    hat: str | None,
    size: str | None,
    direction: str | None,
    subject: str,
    zone: str | None,
    since: str | None,
    until: str | None,
    last_s: float | None,
    limit: int,
    sheet: Path | None,
    data_dir: Path,
    *,
    as_json: bool,
) -> None:
    """Search what the box has seen, newest first.

    Colours and bags are a help to find, not proof: lamps change colours.

    \b
    poleside search --class person --upper red --last 3600 --sheet red.jpg
    poleside search --camera gate --class vehicle --zone "0.1,0.5 0.6,0.5 0.6,1 0.1,1" --json
    """
    from agent.buffer.reading import camera_folder
    from agent.rules.zone import contains
    from agent.sightings.finding import find
    from agent.sightings.store import SIGHTINGS_FILE, Wanted

    try:
        begin, end = time_range(since, until, last_s) if since or until or last_s else (None, None)
        corners = _corners(zone)
        wanted = Wanted(
            label=label,
            upper=upper or "",
            lower=lower or "",
            bag=bag or "",
            hat=hat or "",
            size=size or "",
            direction=direction or "",
            since=begin,
            until=end,
            zone=corners,
            limit=limit,
        )
        folders = [camera_folder(data_dir, camera) for camera in cameras] or sorted(
            path.parent for path in data_dir.glob(f"cameras/*/{SIGHTINGS_FILE}")
        )
        in_zone = partial(contains, corners) if corners else None
        found = find(data_dir, folders, wanted, in_zone, subject)
        if sheet is not None:
            _write_sheet(found, sheet)
    except PolesideError as error:
        if not as_json:
            raise
        click.echo(json.dumps({"code": error.code, "message": error.message, "hint": error.hint}))
        sys.exit(1)
    _tell(found, as_json=as_json)


def _tell(found: list[Sighting], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"found": [_facts(one) for one in found]}))
        return
    for one in found:
        looks = [f"{what} {word}" for what, word in _look(one).items() if word != "unknown"]
        speed = "" if one.speed_mps is None else f", {one.speed_mps:.1f} m/s"
        click.echo(
            f"{one.begin:%Y-%m-%d %H:%M:%S} UTC  {one.camera_id:12} {one.label:10} "
            f"{(one.end - one.begin).total_seconds():5.0f} s  {one.direction:6}{speed}  "
            f"{', '.join(looks)}"
        )
    click.echo(f"{len(found)} found")


def _look(one: Sighting) -> dict[str, str]:
    same = f"{one.subject} ({one.subject_certainty:.0%})" if one.subject else "unknown"
    return {
        "upper": one.upper,
        "lower": one.lower,
        "bag": one.bag,
        "hat": one.hat,
        "subject": same,
    }


def _facts(one: Sighting) -> dict[str, object]:
    from agent.sightings.telling import facts_of

    return facts_of(one) | {"jpeg": base64.b64encode(one.jpeg).decode()}


def _corners(text: str | None) -> tuple[tuple[float, float], ...]:
    if not text:
        return ()
    try:
        places = [tuple(float(value) for value in pair.split(",")) for pair in text.split()]
        corners = tuple((x, y) for x, y in places)
    except ValueError:
        corners = ()
    if len(corners) < 3 or not all(0 <= value <= 1 for place in corners for value in place):
        raise SettingsError(
            "search.zone",
            f"`{text}` is no zone.",
            hint='Write three corners or more as fractions: "0.1,0.5 0.6,0.5 0.6,1".',
        )
    return corners


def _write_sheet(found: list[Sighting], path: Path) -> None:
    from agent.exam.contact_sheet import make_sheet

    jpeg = make_sheet([(one.jpeg, f"{one.begin:%H:%M:%S}") for one in found if one.jpeg])
    if jpeg is None:
        raise SettingsError(
            "search.no_pictures", "Nothing found has a picture.", hint="Widen the search."
        )
    try:
        path.write_bytes(jpeg)
    except OSError as error:
        raise SettingsError(
            "search.sheet", f"{path} can't be written: {error.strerror}.", hint="Another place."
        ) from error
