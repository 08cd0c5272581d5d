"""The systems under measurement, each started fresh, watched until it works, and ended."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import psutil

from agent.app.run_dir import PROCESSES_FILE
from agent.messages.capacity import CAPACITY_FILE
from agent.messages.supervision import ProcessReport
from agent.simulators.drawn_scene import ROAD_ZONE
from tests.bench.cameras import Camera
from tests.bench.errors import BenchError
from tests.bench.process_tree import Tree

READY_WITHIN_S = 40.0
SETTLE_S = 1.5
_SHARED_MEMORY = Path("/dev/shm")
_MOTION_SETTINGS = Path("/etc/motion/motion.conf")
_MOTION_PLACES = {"log_file", "video_device", "camera", "camera_dir"}
_FAST_OPEN = ("-analyzeduration", "0", "-probesize", "32", "-fpsprobesize", "0")


@dataclass(frozen=True, slots=True)
class AgentRun:
    """A running agent: its processes and its data folder."""

    tree: Tree
    folder: Path

    def pids(self, prefix: str) -> list[int]:
        """Return the processes whose name in the process table begins so."""
        rows = _rows(self.folder)
        return [row.pid for row in rows if row.pid and row.name.startswith(prefix)]


@contextmanager
def agent(
    cameras: Sequence[Camera],
    folder: Path,
    broker_url: str,
    *,
    detect: bool,
    look: bool = True,
    box: Sequence[str] = (),
) -> Iterator[AgentRun]:
    """Run `poleside run` on these cameras; inside the block it records (and looks).

    `box` are further lines of its settings.
    """
    with _agent_process(cameras, folder, broker_url, detect=detect, look=look, box=box) as (
        process,
        data,
    ):

        def works() -> bool:
            recording = len(list(data.glob("cameras/*/video/**/*.mp4"))) >= len(cameras)
            return recording and _is_up(data, detect=detect)

        _wait_until(works, process, folder / "agent.log")
        time.sleep(SETTLE_S)
        yield AgentRun(_agent_tree(process.pid, data), data)


@contextmanager
def idle_agent(folder: Path, broker_url: str) -> Iterator[AgentRun]:
    """Run the agent with one camera that is switched off: every process, nothing to do."""
    nowhere = f"rtsp://127.0.0.1:{free_port()}/"
    camera = Camera(f"{nowhere}main", f"{nowhere}sub")
    with _agent_process([camera], folder, broker_url, detect=True) as (process, data):
        _wait_until(lambda: _is_up(data, detect=True), process, folder / "agent.log")
        time.sleep(SETTLE_S)
        yield AgentRun(_agent_tree(process.pid, data), data)


@contextmanager
def _agent_process(
    cameras: Sequence[Camera],
    folder: Path,
    broker_url: str,
    *,
    detect: bool,
    look: bool = True,
    box: Sequence[str] = (),
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    data = folder / "data"
    config = folder / "poleside.toml"
    told = _settings(cameras, data, broker_url, detect=detect, look=look)
    config.write_text("\n".join([*box, told]), "utf-8")
    command = [sys.executable, "-m", "agent.local.cli.main", "run", "--config", str(config)]
    with _process(command, folder / "agent.log") as process:
        yield process, data


def _settings(
    cameras: Sequence[Camera], data: Path, broker_url: str, *, detect: bool, look: bool
) -> str:
    zone = [list(point) for point in ROAD_ZONE]
    lines = [
        f'data_dir = "{data}"',
        f'broker.urls = ["{broker_url}"]',
        "page.enabled = false",
        'log_level = "warning"',
    ]
    for number, camera in enumerate(cameras):
        lines += [
            "[[cameras]]",
            f'camera_id = "cam-{number}"',
            f'main_url = "{camera.main_url}"',
            f'sub_url = "{camera.sub_url}"',
            f"detect = {str(detect).lower()}",
            f"look = {str(look).lower()}",
            "detect_fps = 5",
            "[[cameras.rules]]",
            'kind = "intrusion"',
            'rule_id = "road"',
            f"zone = {zone}",
        ]
    return "\n".join(lines)


def _is_up(data: Path, *, detect: bool) -> bool:
    rows = _rows(data)
    if detect and not (data / "run" / CAPACITY_FILE).exists():
        return False
    return bool(rows) and all(row.state.value == "running" for row in rows)


def _rows(data: Path) -> list[ProcessReport]:
    try:
        return msgspec.json.decode(
            (data / "run" / PROCESSES_FILE).read_bytes(), type=list[ProcessReport]
        )
    except FileNotFoundError:
        return []


def _agent_tree(pid: int, data: Path) -> Tree:
    def name_of(process: psutil.Process) -> str:
        names = {row.pid: row.name for row in _rows(data)}
        return names.get(process.pid, f"unknown-{process.pid}")

    return Tree([pid], name_of, lambda: sum(row.past_cpu_s for row in _rows(data)))


@contextmanager
def ffmpeg_floor(cameras: Sequence[Camera], folder: Path) -> Iterator[Tree]:
    """Two ffmpegs per camera: `copy-N` takes the main stream in, `decode-N` decodes the sub one.

    Both to nowhere, one thread each: the least that receiving a camera, and looking at it, costs.
    """
    names: dict[int, str] = {}
    start = ("ffmpeg", "-nostdin", "-v", "error", *_FAST_OPEN, "-threads", "1")
    with ExitStack() as running:
        for number, camera in enumerate(cameras):
            for name, url, how in (
                (f"copy-{number}", camera.main_url, ("-c", "copy", "-an")),
                (f"decode-{number}", camera.sub_url, ("-an",)),
            ):
                command = [*start, "-rtsp_transport", "tcp", "-i", url, *how, "-f", "null", "-"]
                process = running.enter_context(_process(command, folder / f"{name}.log"))
                names[process.pid] = name
        time.sleep(SETTLE_S)
        yield Tree(list(names), lambda process: names[process.pid])


@contextmanager
def pipeline(cameras: Sequence[Camera], folder: Path, kind: str) -> Iterator[Tree]:
    """Run a recorder made of subprocesses, `lean` or `usual`: see `tests.bench.pipeline`."""
    commands = [
        ["tests.bench.pipeline", kind, camera.main_url, camera.sub_url, str(segments)]
        for camera, segments in zip(cameras, _segment_folders(cameras, folder), strict=True)
    ]
    with _recorders(commands, folder) as tree:
        yield tree


@contextmanager
def whole_pipeline(cameras: Sequence[Camera], folder: Path) -> Iterator[Tree]:
    """Run such a recorder with all of its processes: see `tests.bench.whole_pipeline`."""
    _segment_folders(cameras, folder)
    urls = [url for camera in cameras for url in (camera.main_url, camera.sub_url)]
    with (
        TemporaryDirectory(dir=_SHARED_MEMORY) as slots,
        _recorders([["tests.bench.whole_pipeline", str(folder), slots, *urls]], folder) as tree,
    ):
        yield tree


def _segment_folders(cameras: Sequence[Camera], folder: Path) -> list[Path]:
    folders = [folder / f"segments-{number}" for number in range(len(cameras))]
    for segments in folders:
        segments.mkdir()
    return folders


@contextmanager
def _recorders(commands: Sequence[Sequence[str]], folder: Path) -> Iterator[Tree]:
    """Run modules that record into the folder's `segments-N`."""
    with ExitStack() as running:
        processes = []
        for number, command in enumerate(commands):
            log = folder / f"pipeline-{number}.log"
            processes.append(
                (running.enter_context(_process([sys.executable, "-m", *command], log)), log)
            )
        for segments in folder.glob("segments-*"):
            for process, log in processes:
                _wait_until(lambda at=segments: any(at.iterdir()), process, log)  # type: ignore[misc]
        time.sleep(SETTLE_S)
        yield Tree(
            [process.pid for process, _ in processes],
            lambda process: f"{process.name()}-{process.pid}",
        )


@contextmanager
def motion(cameras: Sequence[Camera], folder: Path) -> Iterator[Tree]:
    """Debian's `motion`: looks at the sub stream, records the main stream by packet copy.

    As Debian sets it up, with its filter against noise, but for streams, folders and ports.
    """
    movies = folder / "movies"
    quick = "analyzeduration=0,probesize=32"  # ten seconds less to wait; the work is the same
    main = [
        *_debians_lines(),
        "daemon off",
        "setup_mode off",
        "webcontrol_port 0",
        "stream_port 0",
        "log_level 5",
        f"target_dir {movies}",
    ]
    for number, camera in enumerate(cameras):
        lines = [
            f"camera_id {number + 1}",
            f"netcam_url {camera.sub_url}",
            f"netcam_high_url {camera.main_url}",
            f"netcam_params {quick}",
            f"netcam_high_params {quick}",
            "width 640",
            "height 360",
            "framerate 15",  # with less than the main stream's it records only some of its frames
            "emulate_motion on",
            "movie_output on",
            "movie_passthrough on",
            "picture_output off",
            f"movie_filename {number + 1}-%v",
        ]
        file = folder / f"camera-{number + 1}.conf"
        file.write_text("\n".join(lines) + "\n")
        main.append(f"camera {file}")
    config = folder / "motion.conf"
    config.write_text("\n".join(main) + "\n")
    with _process(["motion", "-n", "-c", str(config)], folder / "motion.log") as process:

        def records() -> bool:
            return len(list(movies.glob("*"))) >= len(cameras)

        _wait_until(records, process, folder / "motion.log")
        time.sleep(SETTLE_S)
        yield Tree([process.pid], lambda _: "motion")


def _debians_lines() -> list[str]:
    """Return what Debian's settings say of the work; later lines of the same name win."""
    lines = _MOTION_SETTINGS.read_text("utf-8").splitlines() if _MOTION_SETTINGS.exists() else []
    return [line for line in lines if line.partition(" ")[0] not in _MOTION_PLACES]


@contextmanager
def broker(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield a broker's address and what it is: a mosquitto of our own, else nobody at all."""
    port = free_port()
    address = f"mqtt://127.0.0.1:{port}"
    if shutil.which("mosquitto") is None:
        yield address, "unreachable (mosquitto is not installed)"
        return
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    with _process(["mosquitto", "-c", str(config)], folder / "mosquitto.log"):
        yield address, "mosquitto on this machine, no center behind it"


def free_port() -> int:
    """Return a TCP port of the loopback that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _process(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ
        ) as process,
    ):
        try:
            yield process
            if process.poll() is not None:
                raise BenchError(f"{command[0]} ended:\n{_last_words(log)}")
        finally:
            _kill_tree(process.pid)


def _kill_tree(pid: int) -> None:
    """End it the quick way: what it wrote is thrown away, and a kind stop costs seconds a round."""
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def _wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    until_s = time.monotonic() + READY_WITHIN_S
    while not condition():
        if process.poll() is not None or time.monotonic() > until_s:
            raise BenchError(f"{log.stem} did not come up:\n{_last_words(log)}")
        time.sleep(0.1)


def _last_words(log: Path) -> str:
    return "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-8:])
