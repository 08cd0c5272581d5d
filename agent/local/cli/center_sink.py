"""The relay that the stand-in's orders send video to: its address, password and authority."""

import functools
from collections.abc import Callable
from typing import IO, Any

import click


def sink_options(
    text: str, *, required: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the argument `sink`: a dictionary as `Sink` has it, None without --sink."""

    def with_options(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_sink(sink: str | None, token: str, sink_ca: IO[str] | None, **others: Any) -> None:
            ca = sink_ca.read() if sink_ca else ""
            told = {"url": sink, "token": token, "ca": ca} if sink else None
            command(sink=told, **others)

        made: Callable[..., None] = with_sink
        for option in (
            click.option("--sink-ca", type=click.File("r"), help="PEM of who vouches for it."),
            click.option("--token", default="", envvar="POLESIDE_SINK_TOKEN", help="Its password."),
            click.option("--sink", required=required, help=text),
        ):
            made = option(made)
        return made

    return with_options
