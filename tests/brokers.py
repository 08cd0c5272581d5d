"""Real brokers for tests, behind one face, each with the rights that `image-build/brokers` ships.

mosquitto (most faults), the demo's nats-server, a NATS cluster of three nodes, and RabbitMQ.
Passwords are `secret-{user}` but for the demo's server.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import aiomqtt

from agent.contract.topics import BoxAddress
from agent.core.clock import SystemClock
from agent.settings.model import BrokerSettings
from agent.simulators.broker import CENTER, EmbeddedBroker, find_server, free_port

SHIPPED = Path(__file__).parents[1] / "image-build" / "brokers"
_MOSQUITTO_FOLDER = "/etc/mosquitto/poleside"
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class Process:
    """A server process: its start, its kinds of end, and being stopped in its tracks."""

    def __init__(self):
        self.process = None

    async def launch(self, *command, **environment):
        self.process = await asyncio.create_subprocess_exec(
            *map(str, command),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=os.environ | environment,
            start_new_session=True,
        )

    async def answers_on(self, port: int):
        while True:
            assert self.process.returncode is None, "the broker ended"
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                return
            await asyncio.sleep(0.05)

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
            os.killpg(process.pid, number)  # RabbitMQ is a shell script and its child
            await process.wait()


class Mosquitto(Process):
    """The shipped settings, without TLS. `changes` replaces words of them, `extra` adds lines.

    With `any_password` every user is taken at his word; the rights hold all the same.
    """

    guest = "operator"  # client ids are bound to users: beside the center, another user

    def __init__(
        self, folder: Path, boxes: list[BoxAddress], extra="", changes=(), *, any_password=False
    ):
        super().__init__()
        self.folder, self.boxes, self.extra, self.port = folder, boxes, extra, free_port()
        self.changes, self.any_password, self.looser = dict(changes), any_password, {}

    def settings(self, user: str) -> BrokerSettings:
        return _settings(user, self.port)

    async def start(self):
        await asyncio.to_thread(self._prepare)
        await self.launch("mosquitto", "-c", self.folder / "mosquitto.conf")
        await self.answers_on(self.port)

    def _prepare(self):
        self.folder.mkdir(exist_ok=True, parents=True)
        passwords = self.folder / "passwords"
        if passwords.exists():
            return
        passwords.touch(mode=0o600)
        for user in (CENTER, self.guest, *(box.box for box in self.boxes)):
            self._say_password(user, f"secret-{user}")
        acl = self.folder / "acl"
        acl.touch(mode=0o600)
        acl.write_text(_loosened((SHIPPED / "mosquitto" / "acl").read_text(), self.looser))
        text = (SHIPPED / "mosquitto" / "poleside.conf").read_text()
        _, _, rules = text.partition("allow_anonymous false\n")
        for old, new in self.changes.items():
            assert old in rules
            rules = rules.replace(old, new)
        rules = rules.replace(_MOSQUITTO_FOLDER, str(self.folder))
        rules = rules.replace("/var/lib/mosquitto", str(self.folder))
        check = f"password_file {passwords}\nallow_anonymous false\n"
        (self.folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nuse_username_as_clientid true\nuser root\n"
            f"{'allow_anonymous true' if self.any_password else check}\n{rules}\n{self.extra}\n"
        )

    def set_password(self, user: str, password: str):
        """Change what the running broker takes from `user`."""
        self._say_password(user, password)
        self.process.send_signal(signal.SIGHUP)

    def admit_watcher(self):
        """Let a user `watcher` read the running broker's own counters."""
        with (self.folder / "acl").open("a") as acl:
            acl.write("\nuser watcher\ntopic read $SYS/#\n")
        self.set_password("watcher", "secret-watcher")

    async def dropped(self) -> int:
        """Return how many messages found no room in a queue; needs `sys_interval 1`."""
        client = aiomqtt.Client(
            "127.0.0.1", self.port, username="watcher", password="secret-watcher"
        )
        async with client:
            await client.subscribe("$SYS/broker/publish/messages/dropped")
            told = aiter(client.messages)
            await anext(told)  # retained, of before
            return int((await anext(told)).payload)

    def _say_password(self, user: str, password: str):
        command = ["mosquitto_passwd", "-b", str(self.folder / "passwords"), user, password]
        subprocess.run(command, check=True, capture_output=True)


class NatsCluster:
    """Three nodes, every message on three disks. A user is given all three addresses."""

    def __init__(self, folder: Path, boxes: list[BoxAddress]):
        self.folder, self.boxes = folder, boxes
        self.nodes = [Process() for _ in range(3)]
        self.ports = [free_port() for _ in self.nodes]
        self.cluster_ports = [free_port() for _ in self.nodes]
        self.looser = {}

    def settings(self, user: str) -> BrokerSettings:
        return _settings(user, *self.ports)

    async def start(self):
        await asyncio.to_thread(self._prepare)
        for number in range(3):
            await self.start_node(number)
        await _takes_sessions(self.settings(CENTER))

    async def start_node(self, number: int):
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in self.cluster_ports)
        await self.nodes[number].launch(
            find_server(),
            "-c",
            self.folder / "nats.conf",
            POLESIDE_NODE=f"n{number}",
            POLESIDE_MQTT=f'"127.0.0.1:{self.ports[number]}"',
            POLESIDE_CLUSTER=f'"127.0.0.1:{self.cluster_ports[number]}"',
            POLESIDE_ROUTES=f"[{routes}]",
            POLESIDE_STORE=f'"{self.folder / f"n{number}"}"',
        )

    def node_of(self, url: str) -> int:
        """Return which node a link that says `url` is connected to."""
        return self.ports.index(int(url.rpartition(":")[2]))

    async def stop(self):
        for node in self.nodes:
            await node.stop()

    def write_users(self, boxes: list[BoxAddress]):
        """Say who may do what; running nodes read it at `reload`."""
        users = _loosened(_made_users("nats", boxes), self.looser)
        (self.folder / "users.conf").write_text(users)

    def reload(self):
        for node in self.nodes:
            node.process.send_signal(signal.SIGHUP)

    def _prepare(self):
        self.folder.mkdir(exist_ok=True, parents=True)
        shutil.copy(SHIPPED / "nats" / "nats.conf", self.folder)
        self.write_users(self.boxes)


class RabbitMq(Process):
    """One node, as Debian has it; its Erlang port mapper is its own."""

    def __init__(self, folder: Path, boxes: list[BoxAddress]):
        super().__init__()
        self.folder, self.boxes, self.port = folder, boxes, free_port()
        self.mapper_port, self.looser = str(free_port()), {}

    def settings(self, user: str) -> BrokerSettings:
        return _settings(user, self.port)

    async def start(self):
        await asyncio.to_thread(self._prepare)
        await self.launch(
            RABBITMQ,
            HOME=str(self.folder),
            ERL_EPMD_PORT=self.mapper_port,
            RABBITMQ_NODENAME=f"poleside-{self.port}@localhost",
            RABBITMQ_DIST_PORT=str(free_port()),
            RABBITMQ_MNESIA_BASE=str(self.folder / "data"),
            RABBITMQ_LOG_BASE=str(self.folder / "log"),
            RABBITMQ_CONFIG_FILE=str(self.folder / "rabbitmq.conf"),
            RABBITMQ_ENABLED_PLUGINS_FILE=str(self.folder / "enabled_plugins"),
        )
        await self.answers_on(self.port)
        await _takes_sessions(self.settings(CENTER))

    async def stop(self):
        await super().stop()
        mapper = await asyncio.create_subprocess_exec(
            "epmd",
            "-kill",
            env=os.environ | {"ERL_EPMD_PORT": self.mapper_port},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await mapper.wait()

    def _prepare(self):
        self.folder.mkdir(exist_ok=True, parents=True)
        shutil.copy(SHIPPED / "rabbitmq" / "enabled_plugins", self.folder)
        users = _loosened(_made_users("rabbitmq", self.boxes), self.looser)
        (self.folder / "poleside.json").write_text(users)
        kept = [
            line.replace("/etc/rabbitmq", str(self.folder))
            for line in (SHIPPED / "rabbitmq" / "rabbitmq.conf").read_text().splitlines()
            if "ssl" not in line and "mqtt.listeners" not in line
        ]
        kept.append(f"mqtt.listeners.tcp.1 = 127.0.0.1:{self.port}")
        (self.folder / "rabbitmq.conf").write_text("\n".join(kept) + "\n")


def make_broker(kind: str, folder: Path, boxes: list[BoxAddress]):
    if kind == "nats":
        return EmbeddedBroker(folder, boxes, SystemClock())
    kinds = {"mosquitto": Mosquitto, "nats-cluster": NatsCluster, "rabbitmq": RabbitMq}
    return kinds[kind](folder, boxes)


def _settings(user: str, *ports: int) -> BrokerSettings:
    urls = tuple(f"mqtt://127.0.0.1:{port}" for port in ports)
    return BrokerSettings(urls=urls, username=user, password=f"secret-{user}")


def _loosened(rights: str, looser: dict[str, str]) -> str:
    """Return rights with words replaced; a test must see that they are not the shipped ones."""
    for old, new in looser.items():
        assert old in rights, rights
        rights = rights.replace(old, new)
    return rights


def _made_users(kind: str, boxes: list[BoxAddress]) -> str:
    lines = [f"box {a.site} {a.box} secret-{a.box}" for a in boxes]
    text = "\n".join([f"center - {CENTER} secret-{CENTER}", *lines])
    command = [sys.executable, str(SHIPPED / "make-users"), kind]
    return subprocess.run(command, input=text, text=True, check=True, capture_output=True).stdout


async def _takes_sessions(settings: BrokerSettings):
    """Wait until every node answers a CONNECT: a cluster elects its leaders first."""
    for url in settings.urls:
        while True:
            client = aiomqtt.Client(
                "127.0.0.1",
                int(url.rpartition(":")[2]),
                identifier="center-ready",
                username=settings.username,
                password=settings.password,
                timeout=2.0,
            )
            with suppress(aiomqtt.MqttError):
                async with client:
                    break
            await asyncio.sleep(0.2)
