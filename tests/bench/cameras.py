"""Simulated cameras, each a process of its own, outside of what is measured."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tests.bench.clip import Clip
from tests.bench.errors import BenchError

READY_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Camera:
    """Where one camera's streams are."""

    main_url: str
    sub_url: str


@contextmanager
def cameras(count: int, clip: Clip, folder: Path) -> Iterator[Sequence[Camera]]:
    """Run `count` cameras for the length of a `with` block."""
    environment = os.environ | {"PYTHONPATH": str(_own_libav(folder))}
    with ExitStack() as running:
        logs = []
        for number in range(count):
            log = folder / f"camera-{number}.log"
            running.enter_context(_camera(number, clip, folder, log, environment))
            logs.append(log)
        yield [_wait_until_ready(log) for log in logs]


def _own_libav(folder: Path) -> Path:
    """Copy PyAV for the cameras: sharing the agent's file pages would flatter its PSS."""
    copy = folder / "cameras-libav"
    spec = importlib.util.find_spec("av")
    if spec is None or spec.origin is None:
        raise BenchError("PyAV is not installed.")
    package = Path(spec.origin).parent
    if not copy.exists():
        scratch = folder / "cameras-libav.part"
        shutil.rmtree(scratch, ignore_errors=True)
        for name in ("av", "av.libs"):
            shutil.copytree(package.with_name(name), scratch / name)
        scratch.rename(copy)
    return copy


@contextmanager
def _camera(
    number: int, clip: Clip, folder: Path, log: Path, environment: dict[str, str]
) -> Iterator[None]:
    config = folder / f"camera-{number}.json"
    views = {"main_views": {"street": str(clip.main)}, "sub_views": {"street": str(clip.sub)}}
    config.write_bytes(msgspec.json.encode({"name": f"bench-{number}"} | views))
    command = [sys.executable, "-m", "agent.simulators.camera", "--config", str(config)]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output, env=environment) as process,
    ):
        try:
            yield
        finally:
            process.terminate()


def _wait_until_ready(log: Path) -> Camera:
    until_s = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < until_s:
        for line in log.read_text("utf-8").splitlines():
            if "camera ready" in line:
                port = json.loads(line)["rtsp_port"]
                address = f"rtsp://127.0.0.1:{port}"
                return Camera(f"{address}/main", f"{address}/sub")
        time.sleep(0.1)
    raise BenchError(f"A simulated camera did not start:\n{log.read_text('utf-8')}")
