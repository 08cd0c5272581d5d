"""Parts for tests of enrolment: the center's HTTPS service, and a mosquitto with mutual TLS."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from agent.core.clock import SystemClock
from agent.enrol.center_door import CenterDoor, Trust
from agent.enrol.enrolment import Enrolment
from agent.enrol.identity import IdentityFiles, settings_of
from agent.local.web.server import open_listener, serve
from agent.settings.load import validate
from agent.settings.model import BrokerSettings
from agent.simulators.broker import CENTER, free_port
from agent.simulators.center.enrolment import Registrar
from agent.simulators.center.enrolment_service import create_app
from tests.brokers import SHIPPED, Process

CLOCK = SystemClock()
HOST = "127.0.0.1"


@asynccontextmanager
async def enrolment_service(registrar: Registrar, clock=CLOCK):
    """Serve enrolment over HTTPS for the length of a `with` block; gives its address."""
    tls = await asyncio.to_thread(registrar.authority.server_files, "enrolment", [HOST])
    listener = open_listener(f"{HOST}:0")
    url = f"https://{HOST}:{listener.getsockname()[1]}"
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(create_app(registrar, clock), listener, stop, tls))
        try:
            yield url
        finally:
            stop.set()


class NewBox:
    """A box out of its carton: a folder and the code on its label."""

    def __init__(self, data_dir, url, code, registrar, pin="", clock=CLOCK):
        self.data_dir, self.files = data_dir, IdentityFiles.in_data_dir(data_dir)
        trust = Trust(None if pin else registrar.authority.ca_file, pin)
        self.door, self.said = CenterDoor(url, trust), []
        self._enrolment = Enrolment(clock, self.files, self.door, code, self.said.append)

    async def enrol(self, patience_s=0.0):
        return await self._enrolment.run(patience_s)

    def broker(self) -> BrokerSettings:
        """Return how the box connects, as its settings would say."""
        return validate(settings_of(self.files.read(), self.data_dir)).broker


class TlsMosquitto(Process):
    """The shipped settings, as they are, with the center's authority and its list of revoked."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.port = folder, free_port()
        self.url = f"mqtts://{HOST}:{self.port}"

    async def start(self, registrar: Registrar):
        await asyncio.to_thread(self._prepare, registrar.authority)
        await self.launch("mosquitto", "-c", self.folder / "mosquitto.conf")
        await self.answers_on(self.port)

    def reload(self):
        """Have it read the list of the revoked anew."""
        self.process.send_signal(signal.SIGHUP)

    def center(self, registrar: Registrar) -> BrokerSettings:
        files = registrar.authority.client_files(CENTER)
        return BrokerSettings(
            urls=(self.url,),
            ca_file=str(files.ca),
            cert_file=str(files.certificate),
            key_file=str(files.key),
        )

    def _prepare(self, authority):
        self.folder.mkdir(parents=True, exist_ok=True)
        files = authority.server_files("broker", [HOST])
        text = (SHIPPED / "mosquitto" / "poleside.conf").read_text()
        for shipped, here in {
            "listener 8883": f"listener {self.port} {HOST}",
            "/etc/mosquitto/poleside/ca.pem": files.ca,
            "/etc/mosquitto/poleside/broker.pem": files.certificate,
            "/etc/mosquitto/poleside/broker.key": files.key,
            "/etc/mosquitto/poleside/crl.pem": authority.crl_file,
            "/etc/mosquitto/poleside/acl": self.folder / "acl",
            "/var/lib/mosquitto": self.folder,
        }.items():
            text = text.replace(shipped, str(here))
        (self.folder / "mosquitto.conf").write_text(f"user root\n{text}")
        acl = self.folder / "acl"
        acl.touch(mode=0o600)
        acl.write_bytes((SHIPPED / "mosquitto" / "acl").read_bytes())


def killed_at(step, program, *arguments):
    """Run a Python program until its `step`th rename, which is not done. Blocks."""
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=rename"]
    command += ["-e", f"inject=rename:error=EIO:signal=KILL:when={step}"]
    command += [sys.executable, "-B", "-c", program, *map(str, arguments)]
    root = str(Path(__file__).parents[1])
    done = subprocess.run(command, check=False, env=os.environ | {"PYTHONPATH": root})
    assert done.returncode != 0
