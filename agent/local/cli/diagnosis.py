"""What `poleside doctor` looks at: each check yields findings, never raises, changes nothing.

Runs in the technician's shell, beside or without a running agent.
"""

import importlib.metadata
import importlib.util
import os
import platform
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from agent.contract.events import TimeQuality
from agent.core.clock import Clock
from agent.core.errors import DetectorError, StorageError
from agent.detect.manifest import load_manifest, verified_model_files
from agent.detect.model_signature import check_signature
from agent.evidence import tpm_key
from agent.evidence.key_store import load_box_key
from agent.health.checks import (
    DiskFacts,
    clock_faults,
    disk_faults,
    power_faults,
    temperature_faults,
)
from agent.health.fault import Fault, Severity
from agent.health.vitals import VitalsReader
from agent.settings.model import CameraSettings, Settings
from hardware.interface import Board

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
_IMPORT_LIMIT_S = 60.0
_PLAIN_PACKAGES = ("aiomqtt", "click", "jinja2", "joserfc", "msgspec", "psutil", "starlette")
_NATIVE_PACKAGES = ("av", "numpy")
_ENGINES = {
    "ai_edge_litert": "ai_edge_litert.interpreter",
    "tflite_runtime": "tflite_runtime.interpreter",
}
_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "mqtt": 1883, "mqtts": 8883}


class Level(StrEnum):
    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the report. `code` and `hint` are empty when all is well.

    `fault` is the box's own fault that it tells of, which knows it in Korean, too.
    """

    level: Level
    subject: str
    sentence: str
    code: str = ""
    hint: str = ""
    fault: Fault | None = None


def check_python() -> Iterator[Finding]:
    """Tell whether this is a Python the packages exist for."""
    version = platform.python_version()
    if OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        yield _ok("python", f"Python {version} on {platform.machine()}.")
    else:
        yield _fail(
            "python",
            f"Python {version} is outside 3.11 to 3.13.",
            "python.version",
            "Make the environment again with Python 3.11.",
        )


def check_packages() -> Iterator[Finding]:
    """Tell whether all packages are there, and the native ones load on this processor.

    Native ones are loaded in a process of their own: one built for another processor kills it.
    """
    missing = [name for name in _PLAIN_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        names = ", ".join(missing)
        hint = "Run `pip install poleside` again in this environment."
        yield _fail("packages", f"Missing: {names}.", "packages.missing", hint)
    else:
        yield _ok("packages", f"{len(_PLAIN_PACKAGES)} Python packages are there.")
    for name in _NATIVE_PACKAGES:
        yield _loads(name, name)
    engine = next((name for name in _ENGINES if importlib.util.find_spec(name)), None)
    if engine is None:
        hint = "Run `pip install ai-edge-litert`; until then cameras see motion only."
        yield _warn("detector", "No inference engine is installed.", "detector.backend", hint)
    else:
        yield _loads(engine, _ENGINES[engine])


def check_model(settings: Settings | None) -> Iterator[Finding]:
    """Tell whether the detector's model is the one its manifest describes."""
    folder = Path(settings.detector.model) if settings and settings.detector.model else None
    try:
        manifest = load_manifest(folder)
        verified_model_files(manifest, folder)
        if settings is not None and folder is not None:
            keys_file = settings.detector.keys_file
            check_signature(folder, manifest, Path(keys_file) if keys_file else None)
    except DetectorError as error:
        yield _fail("model", error.message, error.code, error.hint)
    else:
        hashes = " and ".join(f"{form.sha256[:12]}…" for form in manifest.forms)
        yield _ok("model", f"{manifest.model}, sha256 {hashes} as in its manifest.")


def check_board(board: Board, settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Tell which board this is, and whether heat, supply, clock and disk are fit."""
    folder = _nearest(Path(settings.data_dir))
    vitals = VitalsReader(board, folder, clock).read({})
    yield _ok("board", f"{board.identity.model or 'unknown model'} ({board.identity.kind.value}).")
    sensors = [reading for reading in vitals.temperatures if reading.celsius is not None]
    hottest = max((reading.celsius or 0.0 for reading in sensors), default=None)
    heat = "unknown" if hottest is None else f"{hottest:.0f} °C"
    yield from _judge("temperature", heat, temperature_faults(vitals.temperatures, was_hot=False))
    supply = "good" if vitals.power.under_voltage is False else "unknown on this board"
    yield from _judge("power", f"supply {supply}", power_faults(vitals.power))
    quality = clock.quality()
    if quality is TimeQuality.RTC and vitals.has_clock_chip is False:
        quality = TimeQuality.UNSYNCED  # whether it was synchronised before, is not known here
    chip = "a clock chip" if vitals.has_clock_chip else "no clock chip"
    when = f"{clock.utc_now():%Y-%m-%d %H:%M:%S} UTC, trust `{quality.value}`, {chip}"
    yield from _judge("clock", when, clock_faults(quality))
    disk = DiskFacts(vitals.disk_free_bytes, settings.buffer.min_free_bytes, vitals.storage)
    free = f"{(vitals.disk_free_bytes or 0) / 1024**3:.1f} GiB free"
    medium = f"{vitals.storage.device or 'unknown disk'}, {vitals.storage.filesystem or '?'}"
    yield from _judge("disk", f"{free} on {medium}", disk_faults(disk))


def check_data_dir(settings: Settings) -> Iterator[Finding]:
    """Tell whether the data folder can really be written, down to the disk."""
    wanted = Path(settings.data_dir)
    folder = _nearest(wanted)
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
            file.write(b"poleside doctor")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        hint = "Give it to the user that runs this, or set `data_dir` to another folder."
        sentence = f"{folder} can't be written: {error.strerror}."
        yield _fail("data folder", sentence, "storage.not_writable", hint)
        return
    if folder == wanted:
        yield _ok("data folder", f"{wanted} can be written.")
    else:
        yield _ok("data folder", f"{wanted} is not there yet; it can be made.")


def check_key(settings: Settings) -> Iterator[Finding]:
    """Tell where the key lies that signs the box's evidence; signs once with one in a TPM."""
    subject = "evidence key"
    data_dir = Path(settings.data_dir)
    if not (data_dir / "keys").is_dir():
        kind = "the TPM" if tpm_key.present_tcti() else "a file"
        yield _ok(subject, f"It is made at the first start, in {kind}.")
        return
    try:
        key = load_box_key(data_dir)
        key.sign(b"poleside doctor")
    except StorageError as error:
        yield _fail(subject, error.message, error.code, error.hint)
        return
    where = {"tpm2": "in the TPM, which it can't leave", "file": "in a file of the data folder"}
    yield _ok(subject, f"{key.public.fingerprint}, {where.get(key.kind, key.kind)}.")


def check_network(settings: Settings, timeout_s: float) -> Iterator[Finding]:
    """Tell whether brokers and cameras accept a TCP connection. No login is tried."""
    targets = [("broker", url) for url in settings.broker.urls]
    targets += [pair for camera in settings.cameras for pair in _addresses(camera)]
    with ThreadPoolExecutor(max_workers=8) as pool:
        yield from pool.map(lambda target: _reach(target[0], target[1], timeout_s), targets)


def _addresses(camera: CameraSettings) -> Iterator[tuple[str, str]]:
    """Yield (subject, URL) once per host and port of one camera."""
    seen = set()
    for url in (camera.main_url, camera.sub_url, camera.onvif_url):
        place = _host_port(url) if url else None
        if place is not None and place not in seen:
            seen.add(place)
            yield f"camera {camera.camera_id}", url


def _reach(subject: str, url: str, timeout_s: float) -> Finding:
    host, port = _host_port(url)
    kind = subject.split(maxsplit=1)[0]
    try:
        with socket.create_connection((host, port), timeout=timeout_s):
            return _ok(subject, f"{host}:{port} accepts connections.")
    except socket.gaierror:
        hint = "Check the name and the DNS server, or use the address."
        return _fail(subject, f"The name {host} is unknown.", f"{kind}.unknown_host", hint)
    except ConnectionRefusedError:
        hint = "The machine is there: check the port, and whether its service runs."
        return _fail(subject, f"{host}:{port} refuses.", f"{kind}.refused", hint)
    except OSError as error:
        hint = "Check power, cable, switch port, address and firewall."
        sentence = f"{host}:{port} does not answer ({error.strerror or 'timed out'})."
        return _fail(subject, sentence, f"{kind}.unreachable", hint)


def _host_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)


def _loads(package: str, module: str) -> Finding:
    command = [sys.executable, "-c", f"import {module}"]
    try:
        done = subprocess.run(  # noqa: S603 (a fixed command, names from the table above)
            command, capture_output=True, text=True, timeout=_IMPORT_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        done = subprocess.CompletedProcess(command, 1, "", f"no end after {_IMPORT_LIMIT_S} s")
    if done.returncode == 0:
        return _ok(package, f"{_version(package)} loads.")
    why = (
        f"signal {-done.returncode}: built for another processor?"
        if done.returncode < 0
        else (done.stderr.strip().splitlines() or ["unknown"])[-1]
    )
    hint = f"Install {package} again for this machine ({platform.machine()})."
    return _fail(package, f"It does not load: {why}", "packages.broken", hint)


def _version(module: str) -> str:
    names = importlib.metadata.packages_distributions().get(module, [module])
    try:
        return f"{names[0]} {importlib.metadata.version(names[0])}"
    except importlib.metadata.PackageNotFoundError:
        return module


def _nearest(folder: Path) -> Path:
    """Return `folder`, or the nearest folder above it that is there."""
    absolute = folder.absolute()
    return next((path for path in (absolute, *absolute.parents) if path.is_dir()), absolute)


def _judge(subject: str, good: str, faults: Iterable[Fault]) -> Iterator[Finding]:
    """Turn health faults into findings; without any, one OK that says `good`."""
    found = False
    for fault in faults:
        found = True
        level = Level.FAIL if fault.severity is Severity.RED else Level.WARN
        yield Finding(
            level=level,
            subject=subject,
            sentence=fault.sentence_en,
            code=fault.code,
            hint=fault.hint_en,
            fault=fault,
        )
    if not found:
        yield _ok(subject, f"{good}.")


def _ok(subject: str, sentence: str) -> Finding:
    return Finding(level=Level.OK, subject=subject, sentence=sentence)


def _warn(subject: str, sentence: str, code: str, hint: str) -> Finding:
    return Finding(level=Level.WARN, subject=subject, sentence=sentence, code=code, hint=hint)


def _fail(subject: str, sentence: str, code: str, hint: str) -> Finding:
    return Finding(level=Level.FAIL, subject=subject, sentence=sentence, code=code, hint=hint)
