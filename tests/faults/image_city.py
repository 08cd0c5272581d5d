"""The city of a box in QEMU: broker, center, file store and a camera, on this machine.

The center is the stand-in, as a process; orders go beside it with its key, as `poleside center
send` gives them.
"""

import asyncio
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from poleside_recipe import emulator

from agent.contract.audit import AUDIT_TYPE
from agent.contract.commands import Actor, Args, ReplyState
from agent.contract.info import Info
from agent.contract.topics import BoxAddress
from agent.core.clock import SystemClock
from agent.core.errors import PolesideError
from agent.settings.model import BrokerSettings
from agent.simulators.broker import free_port
from agent.simulators.center.commander import load_key, public_keys_file
from agent.simulators.center.guest import Guest
from agent.updates import blocks
from tests.bundle_store import BundleStore

HOST = "10.0.2.2"  # this machine, as the box sees it
SITE, BOX = "tb-001", "bx-qemu"
KEYS_FILE = "/etc/poleside/center-keys.json"
_BY = Actor(user="kim", role="operator", case="image-trial")


class City:
    """`camera` is a `CameraProcess` that runs already, or None.

    With what a center left in `folder` it goes on from there. `within` is what broker and center
    are started by, as `ip netns exec NAME`.
    """

    def __init__(self, folder: Path, camera=None, port=0, within=()):
        self.folder, self.port, self._camera = folder, port or free_port(), camera
        self.data = folder / "center"
        self.store = BundleStore()
        config = folder / "mosquitto.conf"
        config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nlog_type all\n")
        self._broker = f"mqtt://127.0.0.1:{self.port}"
        center = [sys.executable, "-m", "agent.local.cli.main", "center", "ingest"]
        center += ["--data-dir", str(self.data), "--site", SITE, "--broker", self._broker]
        center += ["--http", f"127.0.0.1:{free_port()}"]
        self._logs = [(folder / name).open("wb") for name in ("mosquitto.log", "center.log")]
        self._children = [
            subprocess.Popen([*within, *command], stdout=log, stderr=log, start_new_session=True)
            for command, log in zip(
                (["mosquitto", "-c", str(config)], center), self._logs, strict=True
            )
        ]

    @property
    def settings(self):
        camera = ""
        if self._camera is not None:
            told = self._camera.settings("gate")
            camera = f"""[[cameras]]
camera_id = "gate"
main_url = "rtsp://{HOST}:{self._camera.rtsp_port}/main"
username = "{told["username"]}"
password = "{told["password"]}"
look = false
detect = false
"""
        return f"""site = "{SITE}"
box = "{BOX}"
{camera}[broker]
urls = ["mqtt://{HOST}:{self.port}"]
username = "{BOX}"
password = "of-a-trial"
[center]
keys_file = "{KEYS_FILE}"
[uploads]
plain_http = true
"""

    def heard(self):
        return (self.folder / "mosquitto.log").read_text("utf-8", "replace")

    def give_keys(self, machine):
        """Leave the center's public keys on the box, as its enrolment does."""
        load_key(self.data)
        keys = public_keys_file(self.data).read_text()
        machine.ask(f"echo '{keys}' > {KEYS_FILE}; chmod 644 {KEYS_FILE}; sync")

    def offer(self, bundle, version):
        """Lay a bundle and its list of blocks into the store; return the order to install it."""
        body = bundle.read_bytes()
        self.store.files[f"/{bundle.name}"] = body
        self.store.files[f"/{bundle.name}{blocks.SUFFIX}"] = blocks.index_of(bundle)
        url = self.store.url.replace("127.0.0.1", HOST)
        told = {"op": "update", "action": "install", "version": version}
        told |= {"url": f"{url}/{bundle.name}", "size_bytes": len(body)}
        return told | {"sha256": hashlib.sha256(body).hexdigest()}

    def order(self, told, valid_s=30.0):
        """Give an order and return its last reply, None when the box did not answer."""
        link = BrokerSettings(urls=(self._broker,), keepalive_s=10)
        guest = Guest(SystemClock(), link, self.data, BoxAddress(SITE, BOX))
        args = msgspec.convert(told, Args)
        try:
            return asyncio.run(guest.order(args, _BY, valid_s, lambda _: None))
        except PolesideError:
            return None

    def send(self, told):
        """Return the command that gives an order, for where this process can't reach the broker."""
        command = [sys.executable, "-m", "agent.local.cli.main", "center", "send", BOX]
        command += [json.dumps(told), "--site", SITE, "--data-dir", str(self.data)]
        return [*command, "--broker", self._broker, "--case", "image-trial"]

    @contextmanager
    def stopped(self):
        """Hold the center where it is, so that its store can be copied."""
        center = self._children[-1].pid
        os.killpg(center, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(center, signal.SIGCONT)

    def info(self):
        """Return what the box told of itself last, None before."""
        rows = self._asked("SELECT info FROM boxes WHERE box = ?", BOX)
        return msgspec.json.decode(rows[0][0], type=Info) if rows and rows[0][0] else None

    def update(self):
        info = self.info()
        return info.update if info else None

    def until_update(self, version, stages, within_s):
        """Wait until the center was told that the update to `version` is at one of `stages`."""
        end_s = time.monotonic() + within_s
        while time.monotonic() < end_s:
            told = self.update()
            if told is not None and told.version == version and told.stage in stages:
                return told
            emulator.wait_s(0.5)
        raise emulator.EmulationError(f"not {stages} of {version}: {self.update()}")

    def streams(self):
        """Return what the center has of the box: stream, epoch, upto, stored, missing."""
        return self._asked(
            "SELECT stream, epoch, upto, stored, missing FROM streams WHERE box = ?"
            " ORDER BY stream",
            BOX,
        )

    def audited(self):
        """Return the audit's entries that arrived, in order."""
        found = self._asked("SELECT body FROM records WHERE type = ? ORDER BY number", AUDIT_TYPE)
        return [msgspec.json.decode(body)["data"] for (body,) in found]

    def faults(self):
        """Return the codes of the faults that the box's last telemetry tells."""
        rows = self._asked("SELECT telemetry FROM boxes WHERE box = ?", BOX)
        told = msgspec.json.decode(rows[0][0]) if rows and rows[0][0] else {}
        return sorted(fault["code"] for fault in told.get("faults", ()))

    def _asked(self, asked, *values):
        store = next(iter(self.data.glob("*.db")), None)
        if store is None:
            return []
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=20)) as database:
            return database.execute(asked, values).fetchall()

    def close(self):
        for child in reversed(self._children):
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for log in self._logs:
            log.close()
        self.store.close()


class Caller:
    """Orders a ping again and again; what the box answered as done, it has on its disk."""

    def __init__(self, city, pause_s=1.0):
        self._city, self._pause_s = city, pause_s
        self._over = threading.Event()
        self.done = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        """Order no more: what was answered last has then time to arrive."""
        self._over.set()
        self._thread.join()

    def _run(self):
        while not self._over.wait(self._pause_s):
            reply = self._city.order({"op": "ping"}, valid_s=5.0)
            if reply is not None and reply.state is ReplyState.DONE:
                self.done.append(reply.id)

    def lost(self):
        """Return the orders answered as done whose ends the center's audit does not have."""
        ends = {each["command_id"] for each in self._city.audited() if each["outcome"] == "done"}
        return [order for order in self.done if order not in ends]
