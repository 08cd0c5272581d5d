"""Giving a camera another password so that, whatever dies meanwhile, one known to the box works.

The new one is on the disk before the camera hears of it, and the old one leaves the disk only when
the new one has worked. Whoever finds both there tries them: first the one in use, the old one after
a restart, then the other.
Blocking; in threads of the core process.
"""

from contextlib import suppress
from typing import Protocol

from agent.cameras import care
from agent.cameras.line import OnvifLine
from agent.cameras.port import CameraClockSkew, CameraFailure, CameraWrongPassword, Login
from agent.core.clock import Clock


class Passwords(Protocol):
    """Where both are kept (`agent.settings.camera_secret.PasswordFile`)."""

    @property
    def password(self) -> str: ...

    @property
    def pending(self) -> str: ...

    def begin(self, password: str) -> None: ...

    def settle(self, password: str) -> None: ...


def rotate(line: OnvifLine, kept: Passwords, clock: Clock) -> str:
    """Give the camera a new password made here, and return it; all lines use it then.

    Raises `CameraFailure` when it could not be done: what works then is kept.
    """
    if kept.pending:
        settle(line, kept)
    old, new = line.link.door.key.login, care.new_password()
    with line.link.door.changing():
        kept.begin(new)
        try:
            care.change_password(line, old, new, clock)
        except CameraFailure:
            with suppress(CameraFailure):  # unreachable: settled once it answers again
                settle(line, kept)
            raise
        kept.settle(new)
    return new


def settle(line: OnvifLine, kept: Passwords) -> None:
    """Find out which of two passwords works, and keep that one. Raises `CameraFailure`."""
    door = line.link.door
    door.check()
    with door.changing():
        refusal: CameraFailure | None = None
        both = (kept.password, kept.pending)
        in_use = door.key.login.password  # proven, where only the disk would not take it
        for password in sorted(both, key=lambda one: one != in_use):
            if door.key.login.password != password:
                door.change(Login(door.key.login.username, password))
            try:
                care.prove(line)
            except (CameraWrongPassword, CameraClockSkew) as error:
                refusal = error
                continue
            kept.settle(password)
            return
        assert refusal is not None  # noqa: S101 - two were tried
        raise refusal
