"""The box's own network, asked for and confirmed: files to and from who may change it.

Page -> here -> `plan.json` -> `poleside-network.service` (image-build), which judges, tries it, and
takes it back unless `confirm.json` comes in time, whatever becomes of the agent meanwhile. On other
machines nobody answers: the network is not managed here.
"""

import asyncio
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from agent.core.clock import Clock
from agent.core.errors import SettingsError
from agent.core.whole_file import write_whole

LISTS: Final = ("dns", "ntp", "page_from")
ADDRESSES: Final = ("address", "gateway")
_ANSWER_S, _LOOK_S = 45.0, 0.1
_MOST_BYTES = 64 * 1024


def told_by(run: Path) -> Path:
    """Return where the service tells what is in force."""
    return run / "poleside-network/state.json"


class Socket(Struct, frozen=True):
    """A socket for a cable: its name, its hardware address, and where it is plugged."""

    name: str = ""
    hardware: str = ""
    path: str = ""


class NetworkState(Struct, frozen=True, kw_only=True):
    """What is in force, as the service told it. `until_s` is on the clock of the box's uptime."""

    network: dict[str, Any] = {}
    until_s: float | None = None
    plan_id: str = ""
    outcome: str = ""
    why: str = ""
    sockets: tuple[Socket, ...] = ()


class NetworkDesk:
    """`wishes` is the folder of plans, `told` the service's file."""

    def __init__(self, wishes: Path, told: Path, clock: Clock) -> None:
        self._wishes, self._told, self._clock = wishes, told, clock

    async def state(self) -> NetworkState | None:
        """Return what is in force; None: the network is not managed here."""
        return await asyncio.to_thread(self._read)

    async def confirm_within_s(self) -> float | None:
        """Return how long there is to confirm a trial; None: nothing waits for a word."""
        state = await self.state()
        if state is None or state.until_s is None:
            return None
        return max(0.0, state.until_s - self._clock.monotonic_s())

    async def put(self, network: Mapping[str, Any]) -> None:
        """Try another network. Raises `SettingsError` with nothing changed."""
        plan_id = secrets.token_hex(8)
        await self._leave("plan.json", {"plan_id": plan_id, "network": network})
        until_s = self._clock.monotonic_s() + _ANSWER_S
        while self._clock.monotonic_s() < until_s:
            state = await self.state()
            if state is not None and state.plan_id == plan_id:
                if state.outcome in ("refused", "failed"):
                    raise SettingsError(f"network.{state.outcome}", state.why)
                return
            await self._clock.sleep_s(_LOOK_S)
        raise SettingsError("network.no_answer", "Nobody took the change.")

    async def confirm(self) -> bool:
        """Keep what is on trial. False: nothing waits for it."""
        state = await self.state()
        if state is None or state.until_s is None:
            return False
        await self._leave("confirm.json", {"plan_id": state.plan_id})
        until_s = self._clock.monotonic_s() + _ANSWER_S
        while self._clock.monotonic_s() < until_s:
            state = await self.state()
            if state is None or state.until_s is None:
                return state is not None and state.outcome == "kept"
            await self._clock.sleep_s(_LOOK_S)
        return False

    async def _leave(self, name: str, content: dict[str, Any]) -> None:
        if await self.state() is None:
            raise SettingsError("network.not_managed", "This box does not manage its network.")
        try:
            await asyncio.to_thread(self._write, name, msgspec.json.encode(content))
        except OSError as error:
            raise SettingsError("settings.not_stored", f"It can't be stored: {error}.") from error

    def _write(self, name: str, content: bytes) -> None:
        self._wishes.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() == 0:  # somebody at the console: the folder stays the agent's
            owner = self._wishes.parent.stat()
            os.chown(self._wishes, owner.st_uid, owner.st_gid)
        write_whole(self._wishes / name, content, 0o600)

    def _read(self) -> NetworkState | None:
        try:
            with self._told.open("rb") as file:
                return msgspec.json.decode(file.read(_MOST_BYTES), type=NetworkState)
        except (OSError, msgspec.MsgspecError):
            return None


def wish_of(form: Mapping[str, str]) -> dict[str, Any]:
    """Return what the page's form asks for."""
    wish: dict[str, Any] = {name: form.get(name, "").replace(",", " ").split() for name in LISTS}
    wish["method"] = form.get("method", "")
    if wish["method"] == "static":
        wish |= {name: form.get(name, "").strip() for name in ADDRESSES}
    wish["cameras"] = form.get("cameras", "").strip()
    wish["service_port"] = form.get("service_port") == "on"
    wish["service_socket"] = form.get("service_socket", "").strip()
    return wish
