"""Real brokers for tests: mosquitto (faults) and the demo's nats-server, behind one face."""

import asyncio
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

from agent.contract.topics import BoxAddress
from agent.core.clock import SystemClock
from agent.settings.model import BrokerSettings
from agent.simulators.broker import CENTER, EmbeddedBroker, free_port


class Mosquitto:
    """A mosquitto with the contract's ACL; passwords are `secret-{user}`."""

    def __init__(self, folder: Path, boxes: list[BoxAddress], extra: str = ""):
        self.folder, self.boxes, self.extra, self.port = folder, boxes, extra, free_port()
        self.process = None

    def settings(self, user: str) -> BrokerSettings:
        return BrokerSettings(
            urls=(f"mqtt://127.0.0.1:{self.port}",), username=user, password=f"secret-{user}"
        )

    async def start(self):
        await asyncio.to_thread(self._prepare)
        self.process = await asyncio.create_subprocess_exec(
            "mosquitto",
            "-c",
            str(self.folder / "mosquitto.conf"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        while True:
            assert self.process.returncode is None, "mosquitto ended"
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return
            await asyncio.sleep(0.05)

    def _prepare(self):
        self.folder.mkdir(exist_ok=True)
        passwords = self.folder / "passwords"
        if passwords.exists():
            return
        passwords.touch(mode=0o600)
        for user in (CENTER, *(box.box for box in self.boxes)):
            subprocess.run(
                ["mosquitto_passwd", "-b", str(passwords), user, f"secret-{user}"],
                check=True,
                capture_output=True,
            )
        (self.folder / "acl").write_text(
            "user center\ntopic read edge/1/+/+/up/+\ntopic write edge/1/+/+/dn/+\n"
            "topic write edge/1/+/center/state\n"
            "pattern write edge/1/+/%u/up/+\npattern read edge/1/+/%u/dn/+\n"
            "pattern read edge/1/+/center/state\n"
        )
        (self.folder / "acl").chmod(0o600)
        (self.folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\nset_tcp_nodelay true\n"
            f"password_file {passwords}\nacl_file {self.folder / 'acl'}\nuser root\n"
            f"persistence true\npersistence_location {self.folder}/\n{self.extra}\n"
        )

    def set_password(self, user: str, password: str):
        """Change what the running broker takes from `user`."""
        command = ["mosquitto_passwd", "-b", str(self.folder / "passwords"), user, password]
        subprocess.run(command, check=True, capture_output=True)
        self.process.send_signal(signal.SIGHUP)

    async def stop(self):
        await self._end(signal.SIGTERM)

    async def kill(self):
        await self._end(signal.SIGKILL)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    async def _end(self, number):
        process, self.process = self.process, None
        if process is not None and process.returncode is None:
            process.send_signal(number)
            await process.wait()


def make_broker(kind: str, folder: Path, boxes: list[BoxAddress]):
    if kind == "nats":
        return EmbeddedBroker(folder, boxes, SystemClock())
    return Mosquitto(folder, boxes)
