"""`poleside center enrol-code|approve|refuse|boxes|enrolment`: the center lets boxes in."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.core.errors import EnrolError
from agent.local.cli.answer import json_option, show

if TYPE_CHECKING:
    from agent.contract.topics import BoxAddress
    from agent.simulators.center.enrolment import Registrar


def _data_dir(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("center-data"),
        show_default=True,
        help="The center's folder: codes, certificates, keys.",
    )(command)


@click.command("enrol-code")
@_data_dir
@click.argument("box")
@json_option
def enrol_code(data_dir: Path, box: str, *, as_json: bool) -> None:
    """Make a one-time code for the label of BOX, and print it. It is not kept."""
    code = _registrar(data_dir).new_code(box)
    show({"box": box, "code": code}, [code], as_json=as_json)


@click.command()
@_data_dir
@click.argument("box")
@click.option("--site", default="site-1", show_default=True)
@click.option("--take-over", metavar="SITE/BOX", help="Give it the place of that box.")
@json_option
def approve(data_dir: Path, box: str, site: str, take_over: str | None, *, as_json: bool) -> None:
    """Let BOX in, which has asked with its code.

    With --take-over the old box's certificate is revoked: have the broker load `ca/crl.pem` again.
    """
    registrar = _registrar(data_dir)
    issued = registrar.approve(box, site, _address(take_over) if take_over else None)
    site, name, crl = issued.address.site, issued.address.box, str(registrar.authority.crl_file)
    lines = [f"{box} is {site}/{name} until {issued.ends_at:%F}."]
    if take_over:
        lines.append(f"Let the broker reload {crl} (SIGHUP to mosquitto).")
    told = {
        "site": site,
        "box": name,
        "ends_at": issued.ends_at,
        "reload": crl if take_over else "",
    }
    show(told, lines, as_json=as_json)


@click.command()
@_data_dir
@click.argument("box")
def refuse(data_dir: Path, box: str) -> None:
    """Turn BOX away; only a new code lets it ask again."""
    _registrar(data_dir).refuse(box)


@click.command()
@_data_dir
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def boxes(data_dir: Path, *, as_json: bool) -> None:
    """Show which boxes have a code, ask, are approved, refused or replaced."""
    import msgspec

    for box in _registrar(data_dir).boxes():
        if as_json:
            click.echo(msgspec.json.encode(asdict(box)))
            continue
        place = f"{box.address.site}/{box.address.box}" if box.address else "-"
        click.echo(f"{box.name}\t{box.state}\t{place}\t{box.ends_at}")


@click.command()
@_data_dir
@click.option("--https", "listen", default="127.0.0.1:8443", show_default=True)
@click.option("--host", "hosts", multiple=True, help="Name or address of this service; may repeat.")
@click.option("--broker", "urls", multiple=True, required=True, help="mqtts://… for boxes.")
def enrolment(data_dir: Path, listen: str, hosts: tuple[str, ...], urls: tuple[str, ...]) -> None:
    """Serve enrolment and renewal to boxes over HTTPS, with the center's own authority."""
    from agent.core import log
    from agent.core.clock import SystemClock
    from agent.local.web.server import serve
    from agent.simulators.center.enrolment_service import create_app, keep_revoked_fresh

    log.configure("center-enrolment")
    clock = SystemClock()
    registrar = _registrar(data_dir, urls)
    host = listen.rpartition(":")[0].strip("[]")
    tls = registrar.authority.server_files("enrolment", hosts or (host,))

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(keep_revoked_fresh(registrar, clock))
            await serve(create_app(registrar, clock), listen, stop, tls)
            keeping.cancel()

    asyncio.run(run())


@click.command()
@_data_dir
@click.argument("name")
@click.option("--host", "hosts", multiple=True, help="A server's name or address; may repeat.")
@json_option
def certificate(data_dir: Path, name: str, hosts: tuple[str, ...], *, as_json: bool) -> None:
    """Make NAME a certificate of the center's authority, and print where it lies.

    With --host for a server (the broker), else for one of the center's own programs (`center` for
    the ingest, `operator` for `send` and `configure` beside it).
    """
    authority = _registrar(data_dir).authority
    files = authority.server_files(name, hosts) if hosts else authority.client_files(name)
    told = {name: str(getattr(files, name)) for name in ("certificate", "key", "ca")}
    show(told, list(told.values()), as_json=as_json)


@click.command("next-key")
@_data_dir
@click.option("--use", is_flag=True, help="Sign with it from now on.")
def next_key(data_dir: Path, *, use: bool) -> None:
    """Make the key that will sign orders next; with --use, let it. Boxes renew before and after.

    \b
    poleside center next-key                                   both keys count
    poleside center send BOX '{"op": "enrol.renew"}'           … at each box
    poleside center next-key --use                             then restart the ingest
    poleside center send BOX '{"op": "enrol.renew"}'           the old key counts no more
    """
    from agent.simulators.center.commander import add_next_key, use_next_key

    (use_next_key if use else add_next_key)(data_dir)


COMMANDS = (enrol_code, approve, refuse, boxes, certificate, next_key, enrolment)


def _registrar(data_dir: Path, urls: tuple[str, ...] = ()) -> "Registrar":
    from agent.core.clock import SystemClock
    from agent.simulators.center.enrolment import Registrar

    return Registrar(data_dir, SystemClock(), urls)


def _address(text: str) -> "BoxAddress":
    from agent.contract.topics import BoxAddress

    site, slash, box = text.partition("/")
    if not (site and slash and box):
        raise EnrolError("enrol.bad_name", f"`{text}` is not SITE/BOX.", hint="As in tb-001/bx-17.")
    return BoxAddress(site, box)
