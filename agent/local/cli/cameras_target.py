"""How every `poleside cameras` command is told which camera, and with which login.

A password comes from a file or is asked for; it never stands on a command line, where other users
of the machine would see it.
"""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.cameras.line import OnvifLine
    from agent.cameras.port import Login
    from agent.cameras.tls import CameraTls
    from agent.cameras.zeep_backend import ZeepCamera
    from agent.core.clock import Clock


@dataclass(frozen=True, slots=True)
class Target:
    """One camera as named on the command line."""

    address: str
    login: Login
    tls: CameraTls
    clock: Clock
    timeout_s: float

    def line(self) -> OnvifLine:
        """Return a line to its services; the caller closes it."""
        from agent.cameras.line import OnvifLine

        return OnvifLine(self.address, self.login, self.clock, call_s=self.timeout_s, tls=self.tls)

    def control(self) -> ZeepCamera:
        """Return its whole control side; the caller closes it."""
        from agent.cameras.zeep_backend import ZeepCamera

        return ZeepCamera(self.address, self.login, self.clock, call_s=self.timeout_s, tls=self.tls)


def target_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command ADDRESS and the options of a login; it gets a `Target` and `as_json`."""

    @functools.wraps(command)
    def run(
        address: str,
        user: str,
        password_file: Path | None,
        fingerprint: str,
        ca: Path | None,
        timeout: float,
        **others: Any,
    ) -> None:
        from agent.cameras.port import Login
        from agent.cameras.tls import CameraTls
        from agent.core.clock import SystemClock

        password = _password(user, password_file)
        target = Target(
            address,
            Login(user, password),
            CameraTls(
                ca_file="" if ca is None else str(ca),
                fingerprint=fingerprint.replace(":", "").lower(),
            ),
            SystemClock(),
            timeout,
        )
        command(target, **others)

    folder = click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True)
    for decorate in (
        click.option("--json", "as_json", is_flag=True, help="Answer as JSON."),
        click.option("--timeout", default=5.0, show_default=True, help="Seconds for one call."),
        click.option(
            "--fingerprint", default="", help="SHA-256 of the certificate an https:// camera shows."
        ),
        click.option(
            "--ca",
            type=click.Path(path_type=Path, exists=True, dir_okay=False),
            help="PEM file of the authority that vouches for an https:// camera.",
        ),
        click.option(
            "--password-file", type=folder, help="File with the password; - reads it from stdin."
        ),
        click.option("--user", default="", help="User of the camera; the password is asked for."),
        click.argument("address"),
    ):
        run = decorate(run)
    return run


def _password(user: str, file: Path | None) -> str:
    if file is not None:
        text = sys.stdin.readline() if str(file) == "-" else file.read_text("utf-8")
        return text.rstrip("\r\n")
    return str(click.prompt("Password", hide_input=True, err=True)) if user else ""
