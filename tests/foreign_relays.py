"""Relays that others have made, each a program of its own: npm's RTMP server, GStreamer's RTSP."""

import contextlib
import hashlib
import json
import socket
import subprocess
import threading
import time
from pathlib import Path

from agent.core.clock import SystemClock

PATIENCE_S = 30.0
GST_PYTHON = "/usr/bin/python3"  # Debian's own: its gi is no wheel
_SECRET = "what-relay-and-center-know"


class RtmpServer:
    """npm's `node-media-server`: publishers and players by RTMP and RTMPS, signed addresses."""

    def __init__(self, package, folder, certificate=None, *, wants_sign=False):
        self.port, self.tls_port, http_port = free_port(), free_port(), free_port()
        self._package, self._folder = package, folder
        told = {
            "bind": "127.0.0.1",
            "store": {"path": str(folder / "store"), "maxHistory": 10},
            "auth": {"play": False, "publish": wants_sign, "secret": _SECRET},
            "rtmp": {"port": self.port},
            "http": {"port": http_port},
            "record": {"auto": False, "path": str(folder / "record")},
        }
        if certificate is not None:
            cert, key = certificate
            told["rtmps"] = {"port": self.tls_port, "cert": str(cert), "key": str(key)}
        folder.mkdir(parents=True, exist_ok=True)
        self._config = folder / "config.json"
        self._config.write_text(json.dumps(told))

    def __enter__(self):
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["node", str(self._package / "bin" / "app.js"), "-c", str(self._config)],
                cwd=self._folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for_port(self.port)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def url(self, name="gate"):
        return f"rtmp://127.0.0.1:{self.port}/live/{name}"

    def sign(self, name="gate"):
        """The token that this server takes: until when, and a digest that only its owner makes."""
        until = int(time.time()) + 3600
        plain = f"/live/{name}-{until}-{_SECRET}"
        return f"{until}-{hashlib.md5(plain.encode(), usedforsecurity=False).hexdigest()}"


class GstRelay:
    """GStreamer's RTSP server in RECORD mode: what comes is written to a Matroska file."""

    def __init__(self, folder, codec="h264"):
        self.port, self.file = free_port(), folder / "recorded.mkv"
        self._codec, self._folder = codec, folder

    def __enter__(self):
        script = Path(__file__).with_name("gst_relay.py")
        self.process = subprocess.Popen(
            [GST_PYTHON, str(script), str(self.port), str(self.file), self._codec],
            stdout=subprocess.PIPE,
            text=True,
        )
        wait_for_port(self.port)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE_S)
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def url(self, name="gate"):
        return f"rtsp://127.0.0.1:{self.port}/{name}"


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def wait_for_port(port):
    clock, nobody = SystemClock(), threading.Event()
    until_s = clock.monotonic_s() + PATIENCE_S
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert clock.monotonic_s() < until_s, f"nobody listens on {port}"
        nobody.wait(0.05)
