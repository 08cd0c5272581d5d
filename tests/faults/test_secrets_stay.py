"""Planted secrets: after a run full of faults they stand nowhere but where they must."""

import asyncio
import base64
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path
from urllib.parse import quote

import msgspec
import psutil
import pytest

from agent.contract.commands import Actor, ReplyState, Snapshot
from agent.contract.enrolment import new_code
from agent.contract.topics import BoxAddress
from agent.simulators.broker import CENTER, free_port
from agent.uplink.coding import unpack
from tests.box_process import HOST, BoxProcess, CameraProcess, camera_in, faults_in
from tests.brokers import Mosquitto
from tests.certificates import write_certificate
from tests.spine import ADDRESS, eventually, make_center, running

PAGES = ("/", "/healthz", "/metrics", "/api/state", "/api/events")
BUNDLE = "bundle.zip"
IN_BUNDLE = ("state.json", "settings.json", "settings-history.json", "audit.json", "log.txt")
MAY_HOLD = {"box.db", "box.db-wal", "keys"}  # orders as they came, and the box's own keys


def canary(name: str) -> str:
    """Return a secret that stands out, with letters that have to be escaped in a URL."""
    return f"canary-{name}-{secrets.token_hex(8)}/+é"


class Planted:
    """Secrets by the place they were planted in, in every form they could leak in."""

    def __init__(self):
        self.forms: dict[str, set[bytes]] = {}

    def plant(self, name: str, secret: str = "") -> str:
        secret = secret or canary(name)
        raw = secret.encode()
        self.forms[name] = {
            raw,
            quote(secret).encode(),
            quote(secret, safe="").encode(),
            raw.hex().encode(),
            base64.b64encode(raw).rstrip(b"=")[:-2],  # its end depends on what follows
            msgspec.json.encode(secret)[1:-1],
            secret.encode("unicode_escape"),
        }
        return secret

    def plant_key(self, name: str, pem: Path) -> None:
        """A key would leak as a line of its file."""
        lines = pem.read_bytes().splitlines()[1:-1]
        self.forms[name] = {line for line in lines if len(line) >= 40}

    def assert_not_in(self, content: bytes, where: str) -> None:
        found = [name for name, forms in self.forms.items() if any(f in content for f in forms)]
        assert found == [], f"{found} in {where}"


@pytest.fixture
async def broker(tmp_path):
    """Over TLS, with the box's certificate, its password beside it."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    ca = write_certificate(folder, "ca")
    write_certificate(folder, "broker", ca)
    write_certificate(folder, "box-1", ca)
    write_certificate(folder, CENTER, ca)
    extra = (
        f"cafile {folder}/ca.pem\ncertfile {folder}/broker.pem\nkeyfile {folder}/broker.key\n"
        "require_certificate true\n"
    )
    broker = Mosquitto(tmp_path / "broker", [BoxAddress("site-1", "box-1")], extra)
    await broker.start()
    yield broker, folder
    await broker.stop()


def over_tls(broker, folder, user, **changes):
    return msgspec.structs.replace(
        broker.settings(user),
        urls=(f"mqtts://localhost:{broker.port}",),
        ca_file=f"{folder}/ca.pem",
        cert_file=f"{folder}/{user}.pem",
        key_file=f"{folder}/{user}.key",
        **changes,
    )


def poleside(*arguments: object) -> bytes:
    done = subprocess.run(
        [sys.executable, "-m", "agent.local.cli.main", *map(str, arguments)],
        env=os.environ,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


def page(port: int, path: str) -> bytes:
    with contextlib.suppress(OSError):
        request = urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=5)
        with request as answer:
            return answer.read()
    return b""


def core_of(box: BoxProcess) -> psutil.Process:
    family = psutil.Process(box.process.pid).children(recursive=True)
    return next(p for p in family if "agent.app.core_process" in " ".join(p.cmdline()))


def commands(box: BoxProcess, folder: Path, code: str) -> list[tuple]:
    """Return what a technician would run and send on when something is wrong."""
    enrolled = ("--data-dir", folder / "enrolled", "--wait-s", "1")
    return [
        ("doctor", "--config", box.settings_file),
        ("doctor", "--json", "--config", box.settings_file),
        ("link", "test", "--config", box.settings_file),
        ("link", "status", "--json", "--data-dir", box.data_dir),
        ("health", "--json", "--data-dir", box.data_dir),
        ("status", "--json", "--config", box.settings_file),
        ("config", "history", "--data-dir", box.data_dir),
        ("bundle", "--config", box.settings_file, "--log", box.log, "--out", folder / BUNDLE),
        ("enrol", "--center", f"https://{HOST}:9", "--code", code, "--pin", "ab" * 32, *enrolled),
    ]


class Eavesdropper:
    """A center that keeps every message it gets, as the broker carried it."""

    def __init__(self, folder: Path, settings):
        self.center, self.spoken = make_center(folder, settings), []
        self._receive = self.center._link._received
        self.center._link._received = self._hear

    async def _hear(self, message):
        self.spoken.append(message)
        await self._receive(message)

    async def until_told(self, channel: str, after: int = 0):
        async def is_told():
            return any(message.topic.endswith(channel) for message in self.spoken[after:])

        await eventually(is_told)


async def misuse(box: BoxProcess, broker, ear: Eavesdropper, upload: str) -> None:
    """A file that can't be sent, a core that crashes and one that is killed, a broker away."""
    box.until(lambda state: camera_in(state, "good")["is_recording"], within_s=60)
    box.until(lambda state: ("camera.wrong_password", "wrong") in faults_in(state), 60)
    await ear.until_told("/tel")
    order = Snapshot(camera_id="good", upload_url=upload)
    async for reply in ear.center.command(ADDRESS, order, Actor(user="test"), valid_s=10.0):
        if reply.state is not ReplyState.ACCEPTED:
            break
    for number in (signal.SIGABRT, signal.SIGKILL):
        before = len(ear.spoken)
        core_of(box).send_signal(number)
        await ear.until_told("/tel", before)
    await broker.kill()
    await broker.start()
    before = len(ear.spoken)
    await ear.until_told("/tel", before)


def what_is_shown(box: BoxProcess, folder: Path, code: str) -> dict[str, bytes]:
    """Return all that a person could see, by where."""
    shown = {path: page(box.port, path) for path in PAGES}
    assert b"good" in shown["/api/state"]
    for arguments in commands(box, folder, code):
        shown[f"poleside {arguments[0]}"] = poleside(*arguments)
    family = psutil.Process(box.process.pid).children(recursive=True)
    lines = [" ".join(process.cmdline()) for process in family]
    return shown | {"command lines": "\n".join(lines).encode()}


def files_of(box: BoxProcess) -> list[Path]:
    """Return the box's files but those that hold secrets by right."""
    files = [path for path in box.data_dir.rglob("*") if path.is_file()]
    return [path for path in files if not MAY_HOLD & set(path.relative_to(box.data_dir).parts)]


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_no_planted_secret_leaves_its_place(tmp_path, drawn_loops, broker):
    mosquitto, folder = broker
    planted = Planted()
    password = planted.plant("broker-password")
    mosquitto.set_password("box-1", password)
    planted.plant_key("tls-key", folder / "box-1.key")
    camera_password = planted.plant("camera-password")
    in_url = quote(planted.plant("camera-url"), safe="")
    upload = f"http://{HOST}:9/put?token={quote(planted.plant('upload-token'), safe='')}"
    code = planted.plant("enrolment-code", new_code())
    camera = CameraProcess(tmp_path / "camera", "good", *drawn_loops, password=camera_password)
    told = msgspec.to_builtins(over_tls(mosquitto, folder, "box-1", password=password))
    ear = Eavesdropper(tmp_path / "center", over_tls(mosquitto, folder, CENTER))
    settings = {
        "site": "site-1",
        "box": "box-1",
        "broker": {key: value for key, value in told.items() if value is not None},
        "center": {"keys_file": str(tmp_path / "center" / "center-keys.json"), "telemetry_s": 1.0},
        "uploads": {"plain_http": True},
        "cameras": [
            camera.settings("good", password=camera_password),
            camera.settings("wrong", password=planted.plant("wrong-password")),
            {"camera_id": "dead", "main_url": f"rtsp://user:{in_url}@{HOST}:{free_port()}/m"},
            {"camera_id": "no", "onvif_url": f"http://{HOST}:9/onvif", "password": camera_password},
        ],
    }
    with camera, BoxProcess(tmp_path / "run", settings) as box:
        async with running(ear.center):
            await misuse(box, mosquitto, ear, upload)
            shown = await asyncio.to_thread(what_is_shown, box, tmp_path, code)
    shown["log"] = box.log.read_bytes()
    with zipfile.ZipFile(tmp_path / BUNDLE) as bundle:
        shown |= {f"bundle: {name}": bundle.read(name) for name in bundle.namelist()}
    assert shown.keys() >= {f"bundle: {name}" for name in IN_BUNDLE}
    assert b"camera.wrong_password" in shown["bundle: state.json"]
    for name, content in shown.items():
        planted.assert_not_in(content, name)
    for message in ear.spoken:
        planted.assert_not_in(message.topic.encode(), "a topic")
        planted.assert_not_in(unpack(message.payload, 1 << 20), message.topic)
    for path in files_of(box):
        planted.assert_not_in(path.read_bytes(), str(path))
    names = [str(path) for path in tmp_path.rglob("*")]
    planted.assert_not_in("\n".join(names).encode(), "the files' names")
    said = {message.topic.rpartition("/")[2] for message in ear.spoken}
    assert {"state", "info", "tel", "cfg", "rsp", "aud"} <= said  # it was looked at, all of it


def test_a_secret_is_found_in_whatever_form_it_leaks():
    """The control: what is not found proves something."""
    planted = Planted()
    secret = planted.plant("password", 'p"w/+é-long-enough')
    for leak in (secret, quote(secret), repr(secret), msgspec.json.encode({"x": secret}).decode()):
        with pytest.raises(AssertionError, match="password"):
            planted.assert_not_in(f"… {leak} …".encode(), "a log")
