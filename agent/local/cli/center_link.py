"""How the center's programs reach the broker: the options they share, as one `BrokerSettings`."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


def broker_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` the arguments `link` (`BrokerSettings`), `site` and `data_dir`."""

    @functools.wraps(command)
    def with_link(
        broker: str,
        username: str,
        password: str,
        ca: Path | None,
        cert: Path | None,
        key: Path | None,
        **others: Any,
    ) -> None:
        from agent.settings.model import BrokerSettings

        link = BrokerSettings(
            urls=(broker,),
            username=username,
            password=password,
            ca_file=str(ca or ""),
            cert_file=str(cert or ""),
            key_file=str(key or ""),
            keepalive_s=10,
        )
        command(link=link, **others)

    with_options: Callable[..., None] = with_link
    for option in (
        click.option("--broker", default="mqtt://127.0.0.1:1883", show_default=True),
        click.option("--username", default="", help="The center's MQTT user."),
        click.option("--password", default="", envvar="POLESIDE_BROKER_PASSWORD"),
        click.option("--ca", type=_FILE, help="For mqtts: who signed the broker's certificate."),
        click.option("--cert", type=_FILE, help="The center's own certificate, in place of a user"),
        click.option("--key", type=_FILE, help="… and its key."),
        click.option("--site", default="site-1", show_default=True),
        click.option(
            "--data-dir",
            type=click.Path(path_type=Path, file_okay=False),
            default=Path("center-data"),
            show_default=True,
            help="The center's store and its signing key.",
        ),
    ):
        with_options = option(with_options)
    return with_options
