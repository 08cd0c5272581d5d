"""`poleside center clip|snapshot|bundle`: the stand-in orders a file of a box and takes it in."""

import base64
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.core.errors import SettingsError
from agent.local.cli.answer import always_json
from agent.local.cli.center_link import broker_options
from agent.local.cli.center_order import give, occasion_options
from agent.local.cli.time_range import time_range

if TYPE_CHECKING:
    from agent.contract.commands import Actor, Reply
    from agent.settings.model import BrokerSettings
    from agent.simulators.center.fetching import Fetch
    from agent.simulators.center.granting import Occasion

_OUT = click.Path(path_type=Path, dir_okay=False)


def _receiver(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--url", default="", help="A presigned address, instead of --out."),
        click.option("--listen", default="127.0.0.1:8481", show_default=True, help="Taken in at."),
        click.option("--reached-as", "base_url", default="", help="By the box; else as --listen."),
    ):
        command = option(command)
    return command


@click.command()
@broker_options
@occasion_options
@_receiver
@click.argument("box")
@click.option("--camera", required=True)
@click.option("--from", "since", help="ISO 8601, UTC unless it says otherwise.")
@click.option("--to", "until")
@click.option("--last", "last_s", type=float, help="The last so many seconds.")
@click.option("--stream", default="auto", type=click.Choice(["auto", "main", "sub"]))
@click.option("--masked", is_flag=True, help="People and faces are blurred.")
@click.option("--keep", default="", help="With --masked, what stays clear: x,y x,y x,y …")
@click.option("--target", default="", help="With --masked, who stays clear: x,y, with --at.")
@click.option("--at", default="", help="When the target stands there, ISO 8601.")
@click.option("--outside", default="people", type=click.Choice(["people", "all"]))
@click.option("--out", type=_OUT, help="Where to put it, where no --url is given.")
def clip(
    link: "BrokerSettings",
    site: str,
    data_dir: Path,
    occasion: "Occasion",
    by: "Actor",
    box: str,
    camera: str,
    since: str | None,
    until: str | None,
    last_s: float | None,
    stream: str,
    keep: str,
    target: str,
    at: str,
    outside: str,
    url: str,
    listen: str,
    base_url: str,
    out: Path | None,
    *,
    masked: bool,
) -> None:
    """Have BOX send recorded video of a camera, and print its replies.

    \b
    poleside center clip bx-0417 --camera gate --last 60 --out gate.mp4
    poleside center clip bx-0417 --camera gate --last 60 --masked --out gate.mp4

    The grant it rests on is made with it, for this span alone. Beside a running center a clip of
    more than 8 MB is ordered on its page. Exit code 0 when it is here, 3 when it lacks what the box
    could not read: `holes` in its reply.
    """
    begin, end = time_range(since, until, last_s)
    told: dict[str, Any] = {"op": "clip", "camera_id": camera, "start_at": begin, "end_at": end}
    told |= {"stream": stream, "upload_url": url}
    if masked:
        told["mask"] = _mask(keep, target, at, outside)
    fetch = _fetch(listen, base_url, out, url)
    sys.exit(give(link, data_dir, site, box, told, by, occasion, fetch=fetch))


@click.command()
@broker_options
@occasion_options
@_receiver
@click.argument("box")
@click.option("--camera", required=True)
@click.option("--whole", is_flag=True, help="In full size; else as small as a reply carries.")
@click.option("--out", type=_OUT, help="Where to put it.")
def snapshot(
    link: "BrokerSettings",
    site: str,
    data_dir: Path,
    occasion: "Occasion",
    by: "Actor",
    box: str,
    camera: str,
    url: str,
    listen: str,
    base_url: str,
    out: Path | None,
    *,
    whole: bool,
) -> None:
    """Have BOX send a picture of a camera as it is now, and print its replies.

    \b
    poleside center snapshot bx-0417 --camera gate --out gate.jpg
    """
    import msgspec

    def show(reply: "Reply") -> None:
        result = dict(reply.result or {})
        if (jpeg := result.pop("jpeg", None)) and out is not None:
            out.write_bytes(base64.b64decode(jpeg))
        shown = msgspec.structs.replace(reply, result=result or None)
        click.echo(msgspec.json.encode(shown).decode())

    told: dict[str, Any] = {"op": "snapshot", "camera_id": camera, "upload_url": url}
    fetch = _fetch(listen, base_url, out, url) if whole else None
    sys.exit(give(link, data_dir, site, box, told, by, occasion, fetch=fetch, show=show))


@click.command()
@broker_options
@_receiver
@click.argument("box")
@click.option("--out", type=_OUT, help="Where to put it.")
@click.option("--user", default="operator", show_default=True, help="Who orders; audited.")
@click.option("--case", default="", help="The case it belongs to; audited.")
@always_json
def bundle(
    link: "BrokerSettings",
    site: str,
    data_dir: Path,
    box: str,
    url: str,
    listen: str,
    base_url: str,
    out: Path | None,
    user: str,
    case: str,
) -> None:
    """Have BOX send all that support needs, without secrets or pictures, and print its replies.

    \b
    poleside center bundle bx-0417 --out bx-0417.zip

    It needs no grant. Exit code 0 when it is here.
    """
    from agent.contract.commands import Actor
    from agent.simulators.center.granting import Occasion

    by, fetch = Actor(user=user, role="operator", case=case), _fetch(listen, base_url, out, url)
    told = {"op": "bundle", "upload_url": url}
    sys.exit(give(link, data_dir, site, box, told, by, Occasion(), fetch=fetch))


def _fetch(listen: str, base_url: str, out: Path | None, url: str) -> "Fetch | None":
    from agent.core.clock import SystemClock
    from agent.simulators.center.fetching import Fetch

    if url:
        return None
    if out is None:
        raise SettingsError("order.no_address", "Where to?", hint="Give --out or --url.")
    return Fetch(SystemClock(), listen, base_url, out.absolute())


def _mask(keep: str, target: str, at: str, outside: str) -> dict[str, Any]:
    try:
        mask: dict[str, Any] = {"keep": [_point(one) for one in keep.split()], "outside": outside}
        if target:
            x, y = _point(target)
            mask["target"] = {"at": at, "x": x, "y": y}
    except ValueError as error:
        raise SettingsError(
            "clip.bad_mask", f"The mask makes no sense: {error}.", hint="See `--help`."
        ) from error
    return mask


def _point(text: str) -> tuple[float, float]:
    x, y = text.split(",")
    return float(x), float(y)
