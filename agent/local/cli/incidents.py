"""`poleside incidents`: what was raised, what people said of it, and what stayed in the shadow."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from contextlib import closing
from getpass import getuser
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from agent.contract.incidents import IncidentKind
from agent.core.errors import StorageError
from agent.local.cli.box_in_reach import Box, box_options
from agent.local.cli.spoken import lang_option, words_of
from agent.local.cli.table import padded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from sqlite3 import Connection

    from agent.contract.commands import Nuisance, Verdict

    _Words = dict[str, list[str]]  # what is said of a camera
    _Spoken = Mapping[str, str]


def _options(command: Callable[..., None]) -> Callable[..., None]:
    command = lang_option(
        click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")(command)
    )
    folder = click.Path(path_type=Path, file_okay=False)
    return click.option("--data-dir", type=folder, default=Path("/var/lib/poleside"))(command)


@click.group()
def incidents() -> None:
    """List incidents, say whether they were true, see what rules in the shadow would raise."""


@incidents.command(name="list")
@_options
@click.option("--last", "limit", type=click.IntRange(1, 2000), default=20, help="So many.")
def list_(data_dir: Path, limit: int, lang: str, *, as_json: bool) -> None:
    """List the newest incidents, with the grade of what raised them."""
    from agent.events import reading

    found, words = _read(data_dir, lambda c: reading.latest(c, limit)), words_of(lang)
    names = _names(lang)
    lines = [
        f"{one.started_at:%Y-%m-%d %H:%M:%S}  {one.event_id}  {one.camera_id:12}"
        f" {padded(names.get(f'kind.{one.kind}', one.kind), 16)}"
        f" {padded(names.get(f'grade.{one.grade}', one.grade or '-'), 16)}"
        f" {_labels(one.labels, names)} {'' if one.ended_at else words['incidents.open']}".rstrip()
        for one in found
    ]
    _say(found, lines, words["incidents.none"], as_json=as_json)


@incidents.command()
@_options
@click.option("--last", "limit", type=click.IntRange(1, 2000), default=50, help="So many.")
def shadow(data_dir: Path, limit: int, lang: str, *, as_json: bool) -> None:
    """List what rules in their shadow time would have raised."""
    from agent.events import shadow as shadows

    found, words = _read(data_dir, lambda c: shadows.listed(c, limit)), words_of(lang)
    names = _names(lang)
    lines = [
        f"{one.began_at:%Y-%m-%d %H:%M:%S}  {one.camera_id}/{one.rule_id}"
        f"  {names.get(f'kind.{one.kind}', one.kind)}  {_labels(one.labels, names)}".rstrip()
        for one in found
    ]
    days = Counter((f"{one.began_at:%Y-%m-%d}", f"{one.camera_id}/{one.rule_id}") for one in found)
    a_day = words["incidents.a-day"]
    lines += [a_day.format(day=day, rule=rule, n=n) for (day, rule), n in days.items()]
    _say(found, lines, words["incidents.shadow-none"], as_json=as_json)


@incidents.command()
@_options
def trials(data_dir: Path, lang: str, *, as_json: bool) -> None:
    """Tell of each rule with a shadow time how much it would have raised, and in how many days."""
    from agent.core.clock import SystemClock
    from agent.events import shadow as shadows

    now = SystemClock().utc_now()
    found, words = _read(data_dir, lambda c: shadows.trials(c, now)), words_of(lang)
    lines = [
        words["incidents.trial"].format(
            rule=f"{one.camera_id}/{one.rule_id}",
            n=one.raised,
            lasted=f"{one.lasted_days:.1f}",
            days=f"{one.days:g}",
        )
        + (words["incidents.trial-over"] if one.is_over else "")
        for one in found
    ]
    _say(found, lines, words["incidents.trials-none"], as_json=as_json)


@incidents.command()
@_options
@click.option("--camera", default=None, help="Of one camera only.")
def nuisance(data_dir: Path, camera: str | None, lang: str, *, as_json: bool) -> None:
    """List the verdicts that count, and where they lower alarms."""
    from agent.core.clock import SystemClock
    from agent.events import nuisance as verdicts

    found = _read(data_dir, lambda c: verdicts.listed(c, camera, SystemClock().utc_now()))
    words, names = words_of(lang), _names(lang)
    lines = [
        f"{one.at:%Y-%m-%d %H:%M}  {one.event_id}  {one.camera_id}"
        f"  {names.get(f'kind.{one.family}', one.family)}"
        f"  {words[f'incidents.verdict.{str(one.is_true).lower()}']} ({one.by})"
        + (_spot(one.spot.x, one.spot.y, words) if one.spot else "")
        for one in found
    ]
    _say(found, lines, words["incidents.verdicts-none"], as_json=as_json)


@incidents.command()
@click.argument("incident_id")
@click.argument("says", type=click.Choice(["true", "false", "none"]))
@_options
def verdict(data_dir: Path, incident_id: str, says: str, lang: str, *, as_json: bool) -> None:
    """Say whether an incident was a true alarm; `none` takes the verdict back."""
    from agent.contract.commands import Verdict

    args = Verdict(incident_id=incident_id, verdict=says)  # type: ignore[arg-type]  # click has checked it
    _order(data_dir, args, lang, as_json=as_json)


@incidents.command()
@click.argument("camera_id")
@_options
def forgive(data_dir: Path, camera_id: str, lang: str, *, as_json: bool) -> None:
    """Forget all verdicts on one camera's alarms: nothing is lowered there any more."""
    from agent.contract.commands import Nuisance

    _order(data_dir, Nuisance(camera_id=camera_id, clear=True), lang, as_json=as_json)


@incidents.command()
@_options
def sessions(data_dir: Path, lang: str, *, as_json: bool) -> None:
    """List the incident sessions the center has called this box to, and what each does."""
    from agent.commands.incidents import read_sessions

    found, words = read_sessions(data_dir / "run"), words_of(lang)
    lines = []
    for one in found:
        how = "incidents.lost" if one["lost"] else "incidents.following" if one["follow"] else ""
        kind = padded(words.get(f"incident.{one['kind']}", one["kind"]), 14)
        status = padded(words.get(f"incidents.status.{one['status']}", one["status"]), 8)
        lines.append(f"{one['incident']:16} {kind} {status} {words.get(how, '')}".rstrip())
        called = {each["camera_id"]: each["aimed"] for each in one["called"]}
        turned = {camera_id for camera_id, is_aimed in called.items() if is_aimed}
        said = _words(called, words["incidents.called"], turned, words["incidents.turned"])
        lines += _camera_lines(one["candidates"], said, words)
    _say(found, lines, words["incidents.sessions-none"], as_json=as_json)


@incidents.command(name="try")
@box_options
@click.argument("lat", type=click.FloatRange(-90, 90), required=False)
@click.argument("lon", type=click.FloatRange(-180, 180), required=False)
@click.option("--radius", "radius_m", type=click.FloatRange(0, 2000), default=0.0, help="Metres.")
@click.option("--kind", type=click.Choice([one.value for one in IncidentKind]), default="fire")
@click.option("--follow", is_flag=True, help="As if it moves: who comes next is called, too.")
@click.option(
    "--call", "file", type=click.File("r"), help="A signed call (JWS) instead; - is stdin."
)
@lang_option
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")
def try_(
    box: Box,
    lat: float | None,
    lon: float | None,
    radius_m: float,
    kind: str,
    file: IO[str] | None,
    lang: str,
    *,
    follow: bool,
    as_json: bool,
) -> None:
    """Tell which cameras would be called up for a place, and do nothing. It is audited.

    \b
    poleside incidents try 37.5665 126.9780
    poleside incidents try 37.5665 126.9780 --radius 30 --kind flood --json

    Exit code 0 when the box would take the call, 1 with the code it would be refused by.
    """
    from agent.commands.questions import TryIncident

    if file is not None:
        text = file.read()
    elif lat is not None and lon is not None:
        text = _as_if_called(lat, lon, radius_m, kind, follow=follow)
    else:
        raise click.UsageError("Give LAT and LON, or --call.")
    told = box.ask(TryIncident(text, getuser()), dict[str, Any])
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False))
    elif not told["allowed"]:
        click.echo(words_of(lang)["incidents.refused"].format(**told))
    else:
        for line in _tried_lines(told, words_of(lang)):
            click.echo(line)
    sys.exit(0 if told["allowed"] else 1)


def _tried_lines(told: dict[str, Any], words: _Spoken) -> list[str]:
    said = _words(
        told["called"],
        words["incidents.would-call"],
        told["may_turn"],
        words["incidents.would-turn"],
    )
    lines = _camera_lines(told["candidates"], said, words)
    lines += [f"  {words['incidents.policy'].format(policy=one)}" for one in told["policies"]]
    return lines or [words["incidents.unseen"]]


def _as_if_called(lat: float, lon: float, radius_m: float, kind: str, *, follow: bool) -> str:
    import msgspec

    from agent.contract.commands import Actor
    from agent.contract.grants import AnkletTrigger, Audience, Reason
    from agent.contract.incidents import IncidentCall
    from agent.core.clock import SystemClock
    from agent.core.ids import new_ulid

    now = SystemClock().utc_now()
    at = int(now.timestamp())
    call = IncidentCall(
        id=new_ulid(now),
        seq=1,
        site="here",
        incident="trial",
        kind=kind,
        reason=Reason.MAINTENANCE,
        trigger=AnkletTrigger.DAMAGED if kind == IncidentKind.ANKLET else "",
        audience=Audience.OPERATOR,
        by=Actor(user=getuser(), role="technician"),
        iss="local",
        iat=at,
        exp=at + 60,
        lat=lat,
        lon=lon,
        radius_m=radius_m,
        follow=follow,
    )
    return msgspec.json.encode(call).decode()


def _words(called: Iterable[str], is_called: str, turned: Iterable[str], is_turned: str) -> _Words:
    words = {camera_id: [is_called] for camera_id in called}
    for camera_id in turned:
        words.setdefault(camera_id, []).append(is_turned)
    return words


def _camera_lines(candidates: list[dict[str, Any]], said: _Words, words: _Spoken) -> list[str]:
    """Return a line for each camera that sees the place, and for each that is made ready."""
    lines = []
    for seen in candidates:
        camera_id = seen["camera_id"]
        turn = f"{seen['bearing_deg']:5.1f} {words['incidents.degrees']}"
        where = f"{seen['distance_m']:6.1f} m {turn} {seen['pixels_per_m']:7.1f} px/m"
        busy = [words["incidents.busy"]] if seen["is_busy"] else []
        told = [where, *said.get(camera_id, []), *busy]
        lines.append(f"  {camera_id:16} {', '.join(told)}")
    others = said.keys() - {seen["camera_id"] for seen in candidates}
    hidden = words["incidents.not-in-view"]
    return lines + [f"  {one:16} {hidden}, {', '.join(said[one])}" for one in sorted(others)]


def _names(lang: str) -> _Spoken:
    """Return the words for kinds, grades and classes; in English they are as options take them."""
    return {} if lang == "en" else words_of(lang)


def _labels(labels: Iterable[str], names: _Spoken) -> str:
    return " ".join(names.get(f"label.{label}", label) for label in labels)


def _spot(x: float, y: float, words: _Spoken) -> str:
    return f"  {words['incidents.at'].format(x=f'{x:.2f}', y=f'{y:.2f}')}"


def _order(data_dir: Path, args: Verdict | Nuisance, lang: str, *, as_json: bool) -> None:
    from agent.commands.counter import CounterOrder, ask
    from agent.contract.commands import ReplyState
    from agent.core.clock import SystemClock
    from agent.core.errors import CommandError

    order = CounterOrder(args=args, user=getuser())
    reply = asyncio.run(ask(data_dir / "run", order, SystemClock()))
    if reply.state is not ReplyState.DONE:
        raise CommandError(reply.code, reply.message, hint=reply.hint)
    click.echo(json.dumps(reply.result) if as_json else words_of(lang)["done"])


def _read(data_dir: Path, query: Callable[[Connection], list[Any]]) -> list[Any]:
    from agent.core.sqlite import open_reader
    from agent.events.incidents import PART

    path = data_dir / "box.db"
    if not path.exists():
        raise StorageError(
            "box.no_data",
            f"There is no box's data in {data_dir}.",
            hint="Name the right folder with --data-dir.",
        )
    with closing(open_reader(path, parts=[PART])) as connection:
        return query(connection)


def _say(found: Sequence[Any], lines: list[str], nothing: str, *, as_json: bool) -> None:
    import msgspec

    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    for line in lines or [nothing]:
        click.echo(line)
