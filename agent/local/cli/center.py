"""`poleside center`: the stand-in for a city's center, for demos and for trying a box."""

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.core.errors import SettingsError
from agent.local.cli import (
    center_configure,
    center_enrol,
    center_files,
    center_grant,
    center_incident,
    center_look,
    center_playback,
    center_policy,
    center_scene,
)
from agent.local.cli.answer import always_json, json_option, show
from agent.local.cli.center_link import broker_options

if TYPE_CHECKING:
    from agent.contract.commands import Args
    from agent.settings.model import BrokerSettings
    from agent.simulators.center.center import Center

WATCH_EVERY_S = 0.5


@click.group()
def center() -> None:
    """The small stand-in for a city's center. It says that it is a simulator."""


for _command in (
    *center_enrol.COMMANDS,
    center_configure.configure,
    center_grant.grant,
    center_policy.grants,
    center_policy.policy,
    center_incident.incident,
    center_playback.playback,
    center_files.clip,
    center_files.snapshot,
    center_files.bundle,
    center_look.search,
    center_look.ptz,
    center_look.aim,
    center_scene.talk,
    center_scene.sign,
):
    center.add_command(_command)


@center.command()
@broker_options
@click.option("--http", "listen", default="127.0.0.1:8480", show_default=True, help="The page.")
@click.option("--box-page", help="Address of a box's own page, shown beside the center's half.")
@click.option("--relay-port", type=int, help="Be a relay for live video, too, at this port.")
@click.option(
    "--fire-at", type=(float, float), hidden=True, help="Where the page's 119 button calls."
)
@click.option("--footage-en", default="", hidden=True)
@click.option("--footage-ko", default="", hidden=True)
def ingest(
    link: "BrokerSettings",
    site: str,
    data_dir: Path,
    listen: str,
    box_page: str | None,
    relay_port: int | None,
    fire_at: tuple[float, float] | None,
    footage_en: str,
    footage_ko: str,
) -> None:
    """Take in what boxes send, acknowledge it once stored, show it on a page.

    The key that signs orders is made in the data folder at the first start; give a box the file
    `center-keys.json` beside it (`center.keys_file` in the box's settings).
    """
    from agent.core import log
    from agent.core.clock import SystemClock
    from agent.local.web.server import serve
    from agent.simulators.center.fire_call import FireCall
    from agent.simulators.center.page.app import create_app
    from agent.simulators.relay.relay import Relay

    log.configure("center")
    footage = {"en": footage_en, "ko": footage_ko}

    async def run() -> None:
        clock = SystemClock()
        made = _center(link, site, data_dir, f"http://{listen}")
        await made.open()
        relay = Relay(clock, port=relay_port or 0)
        fire = None
        if fire_at is not None:
            fire = FireCall(clock, made.district, relay, made.boxes, site, fire_at)
        app = create_app(
            made, clock, box_page, footage=footage, box_routes=made.routes(), fire=fire
        )
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(made.run())]
            if relay_port is not None:
                running.append(tasks.create_task(relay.serve()))
            await serve(app, listen, stop)
            for task in running:
                task.cancel()

    asyncio.run(run())


@center.command()
@click.option("--data-dir", type=click.Path(path_type=Path), default=Path("center-data"))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--once", is_flag=True, help="Print what is there and end.")
def watch(data_dir: Path, *, as_json: bool, once: bool) -> None:
    """Print the events a center has stored, and new ones as they come.

    A line with DOUBT says that a box's audit chain or evidence does not fit.
    """
    from agent.core.clock import SystemClock
    from agent.simulators.center.watching import doubt_lines, lines

    async def follow() -> None:
        clock, known, doubts = SystemClock(), 0, 0
        while True:
            for number, line in lines(data_dir, known, as_json=as_json):
                known = number
                click.echo(line)
            for number, line in doubt_lines(data_dir, doubts, as_json=as_json):
                doubts = number
                click.echo(line)
            if once:
                return
            await clock.sleep_s(WATCH_EVERY_S)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(follow())


@center.command()
@click.argument("box")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--data-dir", type=click.Path(path_type=Path), default=Path("center-data"))
@json_option
def anchors(box: str, out: Path, data_dir: Path, *, as_json: bool) -> None:
    """Write what the center kept of BOX's video chains, to check its clips against.

    poleside center anchors bx-0417 --out bx-0417.anchors
    """
    from agent.core.sqlite import open_reader
    from agent.simulators.center import evidence

    with contextlib.closing(open_reader(data_dir / "center.db")) as db:
        records = list(evidence.anchors(db, box))
    if not records:
        raise SettingsError(
            "center.no_anchors",
            f"This center was told no heads by box {box}.",
            hint="A box tells them once an hour; check the box's name and --data-dir.",
        )
    out.write_bytes(b"\n".join(records) + b"\n")
    answer = {"file": str(out), "records": len(records)}
    show(answer, [f"{out}: {len(records)} records"], as_json=as_json)


@center.command()
@broker_options
@click.argument("box")
@click.argument("order", metavar="ORDER")
@click.option("--user", default="operator", show_default=True, help="On whose order; audited.")
@click.option("--case", default="", help="The case it belongs to; audited.")
@click.option("--valid-s", default=20.0, show_default=True)
@always_json
def send(
    link: "BrokerSettings",
    site: str,
    data_dir: Path,
    box: str,
    order: str,
    user: str,
    case: str,
    valid_s: float,
) -> None:
    """Give BOX a signed ORDER (JSON) and print its replies.

    \b
    poleside center send bx-0417 '{"op": "ping"}'
    poleside center send bx-0417 '{"op": "ptz.move", "camera_id": "gate", "pan": 0.5,
        "purpose": "operator"}'
    poleside center send bx-0417 '{"op": "config", "patch": {"cameras":
        [{"camera_id": "gate", "detect_fps": 3.0}]}}'

    Exit code 0 when the box did it, 1 otherwise.
    """
    from agent.contract.commands import Actor, ReplyState
    from agent.contract.topics import BoxAddress
    from agent.core import log
    from agent.core.clock import SystemClock
    from agent.simulators.center.guest import Guest

    log.configure("center", "error")
    args, by = _args(order), Actor(user=user, role="operator", case=case)

    async def give() -> ReplyState:
        guest = Guest(SystemClock(), link, data_dir, BoxAddress(site, box))
        last = await guest.order(args, by, valid_s, lambda reply: click.echo(_reply_line(reply)))
        return last.state

    sys.exit(0 if asyncio.run(give()) is ReplyState.DONE else 1)


def _reply_line(reply: Any) -> str:
    import msgspec

    return msgspec.json.encode(reply).decode()


def _args(text: str) -> "Args":
    import msgspec

    from agent.contract.commands import Args

    try:
        args: Args = msgspec.json.decode(text, type=Args)
    except msgspec.MsgspecError as error:
        raise SettingsError(
            "order.malformed",
            f"The order can't be understood: {error}.",
            hint=f"See `poleside center send --help`; you wrote {json.dumps(text)}.",
        ) from error
    return args


def _center(link: "BrokerSettings", site: str, data_dir: Path, base_url: str) -> "Center":
    from agent.core.clock import SystemClock
    from agent.simulators.center.center import Center, CenterConfig

    data_dir.mkdir(parents=True, exist_ok=True)
    config = CenterConfig(data_dir=data_dir, broker=link, site=site, base_url=base_url)
    return Center(config, SystemClock())
