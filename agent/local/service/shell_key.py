"""A technician's key to a shell, asked for at the page: files to and from who may put it in force.

Page -> here -> `plan.json` -> `poleside-shell.service` (image-build), which judges the key, keeps
it for its time, and takes it away. On other machines nobody answers: a shell is not managed here.
"""

import asyncio
import binascii
import hashlib
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from agent.core.clock import Clock
from agent.core.errors import CommandError
from agent.core.whole_file import write_whole

FOLDER: Final = "shell"  # under data_dir
TOLD: Final = "poleside-shell/state.json"  # under /run
MOST_HOURS: Final = 72.0
_ANSWER_S, _LOOK_S = 30.0, 0.1
_MOST_BYTES = 64 * 1024
_BLOB: Final = re.compile(r"(?:ssh|ecdsa|sk)-\S+ +(AAAA[A-Za-z0-9+/]+={0,2})(?!\S)")


class ShellState(Struct, frozen=True, kw_only=True):
    """What is in force, as the service told it. `until_s` is since 1970; 0: nothing is."""

    until_s: float = 0.0
    by: str = ""
    outcome: str = ""
    why: str = ""
    plan_id: str = ""

    @property
    def until(self) -> datetime | None:
        """Until when a key is in force; None: none is."""
        return datetime.fromtimestamp(self.until_s, UTC) if self.until_s else None


class ShellDesk:
    """`run` is where the image's services tell."""

    def __init__(self, data_dir: Path, run: Path, clock: Clock) -> None:
        self._data_dir, self._told, self._clock = data_dir, run / TOLD, clock

    async def state(self) -> ShellState | None:
        """Return what is in force; None: there is no such service here."""
        return await asyncio.to_thread(self._read)

    async def put(self, key: str, hours: str, by: str) -> ShellState:
        """Have a public key let in for so long. Raises `CommandError` with nothing changed."""
        try:
            span = float(hours)
        except ValueError:
            span = 0.0
        if not 0 < span <= MOST_HOURS:
            raise CommandError("shell.hours", f"A key is given for 1 to {MOST_HOURS:.0f} hours.")
        return await self._ask({"action": "on", "key": key.strip(), "hours": span, "by": by})

    async def end(self) -> ShellState:
        """Have the key taken away, and who is signed in with it. Raises `CommandError`."""
        return await self._ask({"action": "off"})

    async def end_of(self, name: str) -> bool:
        """Have the key taken away that this person gave, without waiting for it.

        False: none of his is in force. Raises `CommandError`.
        """
        state = await self.state()
        if state is None or not state.until_s or state.by != f"page:{name}":
            return False
        await self._leave({"action": "off"})
        return True

    async def _ask(self, plan: dict[str, Any]) -> ShellState:
        if await self.state() is None:
            raise CommandError("shell.not_managed", "This machine's shell is not managed here.")
        plan_id = secrets.token_hex(8)
        await self._leave(plan | {"plan_id": plan_id})
        until_s = self._clock.monotonic_s() + _ANSWER_S
        while self._clock.monotonic_s() < until_s:
            state = await self.state()
            if state is not None and state.plan_id == plan_id:
                if state.outcome in ("refused", "failed"):
                    raise CommandError(f"shell.{state.outcome}", state.why)
                return state
            await self._clock.sleep_s(_LOOK_S)
        raise CommandError("shell.no_answer", "Nobody took the key.")

    async def _leave(self, plan: dict[str, Any]) -> None:
        try:
            await asyncio.to_thread(leave, self._data_dir, plan)
        except OSError as error:
            raise CommandError("settings.not_stored", f"It can't be stored: {error}.") from error

    def _read(self) -> ShellState | None:
        try:
            with self._told.open("rb") as file:
                return msgspec.json.decode(file.read(_MOST_BYTES), type=ShellState)
        except (OSError, msgspec.MsgspecError):
            return None


def fingerprint(text: str) -> str:
    """Return a public key's fingerprint as `ssh-keygen -l` writes it; else nothing of the text."""
    found = _BLOB.search(text)
    try:
        blob = binascii.a2b_base64(found[1]) if found else b""
    except binascii.Error:
        blob = b""
    if not blob:
        return "without fingerprint"
    digest = binascii.b2a_base64(hashlib.sha256(blob).digest(), newline=False).decode()
    return f"SHA256:{digest.rstrip('=')}"


def leave(data_dir: Path, plan: dict[str, Any]) -> None:
    """Leave a plan for the service. Raises `OSError`."""
    folder = data_dir / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(folder / "plan.json", msgspec.json.encode(plan), 0o600)
