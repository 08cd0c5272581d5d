"""The agent and simulated cameras as processes, as they run at a pole."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from agent.simulators.broker import free_port
from agent.simulators.demo.box_page import box_state

HOST = "127.0.0.1"
STOP_S = 20


class Process:
    """One process with its output in a file; ended when the test ends."""

    def __init__(self, folder: Path, name: str, *arguments: str, **environment: str):
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{name}.log"
        self._command = [sys.executable, "-m", *arguments]
        self._environment = {**os.environ, **environment}
        self.process: subprocess.Popen | None = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self._command, stdout=output, stderr=output, env=self._environment
            )

    def stop(self) -> int:
        """Ask it to end; return its exit code. Whatever it started is ended with it."""
        if self.process.poll() is not None:
            return self.process.returncode
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S)
        finally:
            self.process.kill()
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def until_said(self, words: str, within_s: float = 20.0) -> None:
        """Wait until its output holds `words`."""
        deadline_s = time.monotonic() + within_s
        while words not in self.said():
            assert time.monotonic() < deadline_s, f"never said {words!r}:\n{self.said()[-3000:]}"
            time.sleep(0.1)

    def said(self) -> str:
        return self.log.read_text("utf-8", errors="replace")


class CameraProcess(Process):
    """A simulated camera that plays two files in a loop."""

    def __init__(self, folder: Path, name: str, main: Path, sub: Path, **config: Any):
        self.rtsp_port, self.onvif_port = free_port(), free_port()
        self.username, self.password = "poleside", f"secret-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{name}.json"
        told = {
            "name": name,
            "rtsp_port": self.rtsp_port,
            "onvif_port": self.onvif_port,
            "username": self.username,
            "password": self.password,
            "main_views": {"all": str(main)},
            "sub_views": {"all": str(sub)},
        }
        file.write_text(json.dumps(told | config))
        super().__init__(folder, name, "agent.simulators.camera", "--config", str(file))

    def settings(self, camera_id: str, **changes: Any) -> dict[str, Any]:
        """Return how the box is told of it."""
        return {
            "camera_id": camera_id,
            "main_url": f"rtsp://{HOST}:{self.rtsp_port}/main",
            "sub_url": f"rtsp://{HOST}:{self.rtsp_port}/sub",
            "username": self.username,
            "password": self.password,
        } | changes


class BoxProcess(Process):
    """The agent, told by a settings file."""

    def __init__(
        self, folder: Path, settings: dict[str, Any], name: str = "box", **environment: str
    ):
        self.port = free_port()
        self.data_dir = folder / name
        table = {
            "data_dir": str(self.data_dir),
            "board": {"kind": "simulated"},
            "page": {"listen": f"{HOST}:{self.port}"},
        }
        folder.mkdir(parents=True, exist_ok=True)
        self.settings_file = folder / f"{name}.toml"
        self.settings_file.write_text(toml(table | settings))
        super().__init__(
            folder,
            name,
            *("agent.local.cli.main", "run", "--config", str(self.settings_file)),
            **environment,
        )

    def state(self) -> dict[str, Any] | None:
        return box_state(HOST, self.port)

    def until(self, is_so: Callable[[dict], Any], within_s: float = 30.0) -> dict[str, Any]:
        """Return the first state of the page of which `is_so`."""
        deadline_s = time.monotonic() + within_s
        while (state := self.state()) is None or not is_so(state):
            assert time.monotonic() < deadline_s, f"{self.said()[-3000:]}\nlast state: {state}"
            assert self.process.poll() is None, self.said()
            time.sleep(0.2)
        return state


def camera_in(state: dict, camera_id: str) -> dict:
    return next(camera for camera in state["cameras"] if camera["camera_id"] == camera_id)


def faults_in(state: dict) -> dict[tuple[str, str | None], dict]:
    """Return the faults by code and camera."""
    return {(fault["code"], fault["camera_id"]): fault for fault in state["faults"]}


def toml(table: dict[str, Any], path: str = "") -> str:
    """Write a table as TOML: values first, then tables, then lists of tables."""
    lines = []
    for key, value in table.items():
        if not isinstance(value, dict) and not _is_tables(value):
            lines.append(f"{key} = {json.dumps(value)}\n")
    for key, value in table.items():
        name = f"{path}{key}"
        if isinstance(value, dict):
            lines.append(f"[{name}]\n{toml(value, f'{name}.')}")
        elif _is_tables(value):
            lines += [f"[[{name}]]\n{toml(item, f'{name}.')}" for item in value]
    return "".join(lines)


def _is_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], dict)
