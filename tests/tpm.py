"""A software TPM 2.0 (Debian's swtpm) on loopback ports, for one test."""

import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path


class SoftTpm:
    """Use as `with`; the same folder is the same TPM, switched off and on again."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.tcti, self._process = "", None

    def __enter__(self):
        port = _two_free_ports()
        self._process = subprocess.Popen(
            [
                *("swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}"),
                *("--server", f"type=tcp,port={port},disconnect"),
                *("--ctrl", f"type=tcp,port={port + 1}"),
                *("--flags", "not-need-init,startup-clear"),
            ]
        )
        self.tcti = f"swtpm:host=127.0.0.1,port={port}"
        deadline_s = time.monotonic() + 20
        while time.monotonic() < deadline_s:
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", port + 1)) == 0:
                    return self
            time.sleep(0.05)
        raise AssertionError("swtpm does not answer")

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(10)


def _two_free_ports() -> int:
    """The tools expect the control port right behind the other."""
    while True:
        with closing(socket.socket()) as first, closing(socket.socket()) as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
