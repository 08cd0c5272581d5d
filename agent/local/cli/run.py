"""`poleside run`: the agent itself, in the foreground (systemd or a terminal holds it)."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.core.errors import SettingsError, StorageError

if TYPE_CHECKING:
    from agent.core.clock import Clock
    from agent.settings.model import Settings

EXAMPLE = """\
# Poleside settings. Every key but the cameras' addresses has a default; unknown keys are errors.
site = "tb-001"                  # the place, as the center names it: [a-z0-9-]
box = "bx-0417"                  # unique over the whole city; also the MQTT user
data_dir = "/var/lib/poleside"
log_level = "info"               # debug, info, warning, error
status = "Actual"                # Exercise and Test mark every event as such

[broker]
urls = ["mqtts://broker.example.org:8883"]
username = "bx-0417"
password = "CHANGE-ME"
ca_file = "/etc/poleside/city-ca.pem"
link = "wired"                   # "lte": rarer pings; [data] limits a month

[center]
keys_file = "/etc/poleside/center-keys.json"  # JWKS; without it no command is obeyed
telemetry_s = 300.0

[buffer]
retention_days = 30.0            # the law's limit: older video goes within ten minutes
min_free_bytes = 536870912       # below this the oldest goes, the camera over its share first
event_lock_days = 7.0            # video around an event is kept at least so long
# thin_after_days = 14.0         # older video: key frames only
# sub_after_days = 7.0           # … or the sub stream alone, of cameras with `record_sub = true`
# require_mount = "/mnt/video"   # record on this disk only, never under an empty mount point
# second_dir = "/mnt/second"     # a copy of what is locked

[timelapse]
every_s = 600.0                  # one picture of each camera, kept for `keep_days`
keep_days = 365.0
max_share = 0.05                 # of the disk, all cameras; then the oldest are thinned

[[cameras]]
camera_id = "gate"
name = "North gate"
onvif_url = "http://192.168.7.21/onvif/device_service"
# or the streams themselves:
# main_url = "rtsp://192.168.7.21/main"
# sub_url = "rtsp://192.168.7.21/sub"
# record_sub = true              # the sub stream, too
username = "poleside"
password = "CHANGE-ME"

[[cameras.rules]]
kind = "intrusion"
rule_id = "yard"
zone = [[0.1, 0.4], [0.9, 0.4], [0.9, 0.95], [0.1, 0.95]]  # fractions: x right, y down
labels = ["person"]
dwell_s = 2.0

# What hangs on the pole; `poleside box lines` lists the board's names of its digital lines.
# [[pole.inputs]]
# input_id = "bell"
# meaning = "bell"               # or door, mains-lost, on-battery, tilt, smoke, water …
# line = "GPIO17"
# camera_id = "gate"             # its picture goes with the call
# [[pole.outputs]]
# output_id = "siren"
# purpose = "siren"
# line = "GPIO27"
# max_on_s = 60.0                # then it is off again, whoever switched it
"""

# A box with these starts: its bell and its link need no disk, and what is full is made room on.
_DISK_TROUBLE = {errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO}


@click.command()
@click.option("--config", type=click.Path(path_type=Path), help="Settings file (TOML).")
@click.option("--camera", "cameras", multiple=True, help="RTSP address; may be repeated.")
@click.option("--broker", help="Broker address, mqtt://host:port or mqtts://host:port.")
@click.option("--data-dir", help="Where recordings and state go.")
@click.option(
    "--reboot-after",
    "reboot_after_s",
    type=click.FloatRange(0, 86_400),
    help="What `[board] reboot_after_s` is unless the settings say it: an appliance's last resort.",
)
@click.option("--example", is_flag=True, help="Print a complete settings file and end.")
def run(
    config: Path | None,
    cameras: tuple[str, ...],
    broker: str | None,
    data_dir: str | None,
    reboot_after_s: float | None,
    *,
    example: bool,
) -> None:
    """Run the agent until it is stopped (Ctrl-C or SIGTERM).

    \b
    With a file:     poleside run --config /etc/poleside/poleside.toml
    For a first try: poleside run --camera rtsp://user:password@host/path --broker mqtt://host
    An empty box:    poleside run --data-dir FOLDER, to be claimed and set up at its page
    """
    if example:
        click.echo(EXAMPLE, nl=False)
        return
    left_out, table = _table(config, cameras, broker, data_dir)
    table = with_last_resort(table, reboot_after_s)
    for path in left_out:
        click.echo(f"Not right in {config} and left out: {path}. See `config check`.", err=True)
    # One thread per numpy, as everywhere here; must be set before numpy is loaded.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from agent.app.memory import give_back_early, take_small_pages

    give_back_early()  # before any thread
    take_small_pages()
    from agent.app.core_disk import on_its_disk
    from agent.app.supervisor import Supervisor
    from agent.app.time_floor import stand_on_it
    from agent.buffer.medium import is_foreign
    from agent.core import log
    from agent.core.clock import SystemClock
    from agent.settings import load

    settings, clock = load.validate(table), SystemClock()
    folder = load.data_dir_of(settings)
    if is_refused := is_foreign(folder, settings.buffer):
        click.echo(f"{folder} is another box's; nothing of it counts until taken over.", err=True)
    else:
        settings = _with_stored(table, folder, clock)
    log.configure("supervisor", settings.log_level, clock)
    stand_on_it(on_its_disk(settings) if is_refused else settings)
    raise SystemExit(Supervisor(settings, table, clock, left_out=left_out).run())


def _with_stored(table: dict[str, Any], folder: Path, clock: Clock) -> Settings:
    """Return the settings with what is stored on the box's own disk."""
    from agent.app.take_over import take_up
    from agent.settings import in_effect

    _check_writable(folder)
    if identity := take_up(folder, table, clock):
        click.echo(f"This box takes the place {identity.site}/{identity.box}.", err=True)
    in_effect.set_damaged_aside(folder)
    sifted = in_effect.in_effect(table, folder)
    for left in (*in_effect.damaged(folder), *sifted.left_out):
        whose = "What was set at the page" if left.is_local else "What the center wants"
        click.echo(f"{whose} does not fit at {left.path} and is left out: {left.error}", err=True)
    return sifted.settings


def _table(
    config: Path | None, cameras: tuple[str, ...], broker: str | None, data_dir: str | None
) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the table to start with, after what in the file does not count."""
    from agent.app.settings_on_disk import read_to_start
    from agent.settings.bootstrap import Start

    start = read_to_start(config, data_dir) if config else Start({})
    table = dict(start.table)
    if not config and not cameras and not data_dir:
        raise SettingsError(
            "settings.nothing",
            "There is nothing to run: neither --config nor --camera nor --data-dir was given.",
            hint="Try `poleside demo`, or `poleside run --help`.",
        )
    if cameras:
        table["cameras"] = [_camera(number, url) for number, url in enumerate(cameras, start=1)]
    if broker:
        table["broker"] = {**table.get("broker", {}), **_broker(broker)}
    if data_dir or not config:
        table["data_dir"] = data_dir or str(Path.home() / ".local" / "share" / "poleside")
    return start.left_out, table


def with_last_resort(table: dict[str, Any], after_s: float | None) -> dict[str, Any]:
    """Return the settings with a last resort, unless they speak of it themselves."""
    board = table.get("board", {})
    if after_s is None or not isinstance(board, dict):  # what is malformed is refused as such
        return table
    return {**table, "board": {"reboot_after_s": after_s, **board}}


def _camera(number: int, url: str) -> dict[str, Any]:
    """Take the login out of the address: it belongs in the fields that are kept secret."""
    address, username, password = _split_login(url)
    return {
        "camera_id": f"cam-{number}",
        "main_url": address,
        "username": username,
        "password": password,
    }


def _broker(url: str) -> dict[str, Any]:
    address, username, password = _split_login(url)
    login = {"username": username, "password": password} if username else {}
    return {"urls": [address], **login}


def _split_login(url: str) -> tuple[str, str, str]:
    from urllib.parse import unquote, urlsplit, urlunsplit

    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    address = urlunsplit(parts._replace(netloc=host))
    return address, unquote(parts.username or ""), unquote(parts.password or "")


def _check_writable(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        probe = data_dir / ".writable"
        probe.write_bytes(b"")
        with contextlib.suppress(OSError):
            probe.unlink()
    except OSError as error:
        if data_dir.is_dir() and error.errno in _DISK_TROUBLE:  # told of, and lived without
            click.echo(f"The data folder {data_dir} can't be written: {error.strerror}.", err=True)
            return
        raise StorageError(
            "storage.not_writable",
            f"The data folder {data_dir} can't be written: {error.strerror}.",
            hint="Give another one with --data-dir or `data_dir`, or mount the disk.",
        ) from error
