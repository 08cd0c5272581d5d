"""`poleside demo`: the whole thing on one machine, from a walking person to the center's page."""

import asyncio
import contextlib
import os
import shutil
import signal
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.core.clock import SystemClock
from agent.core.errors import SettingsError, StorageError
from agent.core.lock import FileLock

if TYPE_CHECKING:
    from agent.simulators.demo.conductor import Conductor
    from agent.simulators.demo.report import Report

MARKER = ".poleside-demo"
_OURS = ("box", "broker", "cameras", "center", "logs")
CENTER_PORT, BOX_PORT = 8480, 8470


@click.command()
@click.option("--seconds", type=float, help="End by itself after so long. Default: until Ctrl-C.")
@click.option("--headless", is_flag=True, help="Do not open a browser.")
@click.option("--report", "report_file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--pull",
    "pulls",
    multiple=True,
    metavar="WHAT:AT[:OFF]",
    help="Kill WHAT (kill -9) AT seconds into the demo, keep it off for OFF seconds.",
)
@click.option("--footage", type=click.Choice(["auto", "debian", "drawn"]), default="auto")
@click.option("--port", default=CENTER_PORT, show_default=True, help="The page's port; 0: any.")
@click.option("--box-port", default=BOX_PORT, show_default=True, help="The box's own page; 0: any.")
def demo(
    seconds: float | None,
    report_file: Path | None,
    data_dir: Path | None,
    pulls: tuple[str, ...],
    footage: str,
    port: int,
    box_port: int,
    *,
    headless: bool,
) -> None:
    """Two simulated cameras, a broker, the agent and a stand-in center; a page to look at.

    \b
    poleside demo
    poleside demo --seconds 60 --headless --report report.json
    poleside demo --seconds 120 --headless --pull broker:20:30 --pull cam-1:70:10 --pull core:90

    What can be pulled: broker, center, cam-1, cam-2 (the simulated cameras), supervisor, core,
    detect, camera-cam-1, camera-cam-2 (the agent's processes).
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import msgspec

    from agent.core import log
    from agent.simulators.demo.conductor import Conductor, DemoOptions
    from agent.simulators.demo.plugs import parse
    from agent.simulators.footage import prepare

    plugs = tuple(parse(text) for text in pulls)
    log.configure("demo", "error")
    folder = _alone_in(data_dir or _cache() / "demo")
    _freshen(folder)
    made = prepare(_cache() / "footage", click.echo, footage)  # type: ignore[arg-type]
    click.echo(f"Footage: {made.title_en}")
    conductor = Conductor(
        DemoOptions(
            data_dir=folder,
            seconds=seconds,
            plugs=plugs,
            center_port=_port(port),
            box_port=_port(box_port),
        ),
        made,
        SystemClock(),
        click.echo,
        lambda url: _show(url, seconds, headless=headless),
    )
    click.echo("Starting two simulated cameras, the broker, the center and the box …")
    report = asyncio.run(_until_stopped(conductor))
    if report_file is not None:
        report_file.parent.mkdir(parents=True, exist_ok=True)
        report_file.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    click.echo(_summary(report))


async def _until_stopped(conductor: "Conductor") -> "Report":
    from msgspec.structs import replace

    loop, ended_by = asyncio.get_running_loop(), list[str]()

    def stop(by: str) -> None:
        ended_by.append(by)
        conductor.stop.set()

    for number, by in ((signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")):
        loop.add_signal_handler(number, stop, by)
    report = await conductor.run()
    return replace(report, ended_by=ended_by[0] if ended_by else "")


def _show(url: str, seconds: float | None, *, headless: bool) -> None:
    click.echo(f"The page: {url}")
    click.echo(
        "Ctrl-C ends the demo." if seconds is None else f"It ends by itself in {seconds:g} s."
    )
    has_screen = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    if not headless and has_screen:  # else a text browser would take the terminal
        with contextlib.suppress(webbrowser.Error):
            webbrowser.open(url)


def _alone_in(folder: Path) -> Path:
    """Return `folder`, held until this process ends; refuse what another demo has or never had."""
    folder = folder.resolve()
    is_ours = (folder / MARKER).exists()
    if not is_ours and any((folder / name).exists() for name in _OURS):
        raise SettingsError(
            "demo.not_ours",
            f"{folder} holds something that is not a demo's.",
            hint="Give an empty or new folder with --data-dir.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    try:
        FileLock(folder / MARKER, SystemClock()).acquire(0.0)
    except StorageError as error:
        raise SettingsError(
            "demo.running",
            f"Another demo runs in {folder}.",
            hint="Look at its page, end it with Ctrl-C, or give another folder with --data-dir.",
        ) from error
    return folder


def _freshen(folder: Path) -> None:
    """Empty `folder` of an earlier demo; anything else in it is left alone."""
    for name in _OURS:
        shutil.rmtree(folder / name, ignore_errors=True)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "poleside"


def _port(wanted: int) -> int:
    """Return the wanted port, or a free one when somebody else has it."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            click.echo(f"Port {wanted} is taken; another one is used.")
            return 0
    return wanted


def _summary(report: "Report") -> str:
    events, latency, rtt = report.events, report.latency_ms, report.command_rtt_ms
    lines = [
        "",
        f"Ran {report.seconds:.0f} s{_end(report)}. Recorded {report.recorded_s:.1f} s of video "
        f"from {len(report.cameras)} cameras; {report.detections} objects seen.",
        f"Incidents: {events.raised} raised, {events.received} at the center, "
        f"{events.acknowledged} acknowledged, {events.waiting} waiting in the box, "
        f"{events.lost} lost, {events.duplicates} doubled.",
        f"Rule true to acknowledged: p50 {_ms(latency.p50)}, p95 {_ms(latency.p95)}. "
        f"Command and reply: p50 {_ms(rtt.p50)}, p95 {_ms(rtt.p95)}.",
    ]
    if report.cpu_s_per_camera_minute is not None:
        memory = sum(value for value in report.pss_mib.values() if value is not None)
        lines.append(
            f"Cost: {report.cpu_s_per_camera_minute:.2f} CPU seconds per camera and minute, "
            f"{memory:.0f} MiB in all."
        )
    lines += [
        f"Gap: {row.id} {gap.seconds if gap.seconds is not None else '?'} s, {gap.cause}"
        for row in report.cameras
        for gap in row.gaps
    ]
    lines += [
        f"Plug: {pulled.what} at {pulled.at_s:g} s, "
        + ("not well again" if pulled.recovered_s is None else f"well after {pulled.recovered_s} s")
        for pulled in report.pulled
    ]
    return "\n".join(lines)


def _end(report: "Report") -> str:
    return f", until {report.ended_by} ended it" if report.ended_by else ""


def _ms(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f} ms"
