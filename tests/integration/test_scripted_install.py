"""From an unclaimed box to a camera that the center sees, over the page, counting decisions.

A decision is what the person has to choose or to type; pressing the one button that leads on is
none. Then, on the same box: its papers, its command line, another camera in the place.
"""

import asyncio
import hashlib
import io
import json
import subprocess
import sys
import time
import zipfile
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette

from agent.cameras.discovery import PORT as DISCOVERY_PORT
from agent.contract.telemetry import CameraState
from agent.core.clock import SystemClock
from agent.simulators.broker import CENTER, free_port
from agent.simulators.center.center import Center, CenterConfig
from agent.simulators.center.commander import public_keys_file
from tests.box_process import HOST, CameraProcess, camera_in
from tests.brokers import make_broker
from tests.claimed_box import PASSWORD, cookie_of
from tests.integration.test_center_uploads import serving
from tests.integration.test_setup_of_running_box import SetUpBox, found_by
from tests.spine import ADDRESS, QUICK, eventually, running

MOST_DECISIONS = 15
CAMERA = "install"
# As a simulated camera makes them of its name: each is another one.
SERIAL = {
    name: f"SIM-{hashlib.sha256(name.encode()).hexdigest()[6:12].upper()}"
    for name in (CAMERA, "other", "third")
}


class Technician:
    """Sets the box up as the page asks; keeps a list of what had to be decided."""

    def __init__(self, box):
        self.box, self.decisions = box, []

    def decide(self, what, value):
        self.decisions.append(what)
        return value

    def claim(self):
        box, decide = self.box, self.decide
        fields = {
            "secret": decide("secret on the label", box.at_console("secret")),
            "code": decide("code from the console", box.at_console("code")),
            "name": decide("own name", "kim"),
            "password": decide("own password", PASSWORD),
        }
        claimed = box.send("/claim", **fields)
        assert claimed.status == 303, claimed
        box.cookie = cookie_of(claimed)
        page = box.page.ask("/setup", Cookie=box.cookie).body.decode()
        box.csrf = page.partition('name="csrf" value="')[2].partition('"')[0]

    def take_camera(self, camera):
        box, decide = self.box, self.decide
        found = {one["name"]: one for one in found_by(box)}
        epr = decide("which camera", found[CAMERA]["epr"])
        login = {
            "username": decide("the camera's user", camera.username),
            "password": decide("the camera's password", camera.password),
        }
        assert box.order("/setup/verify", epr=epr, **login)["is_in"]
        names = {"camera_id": decide("its id", "gate"), "name": decide("its name", "북문")}
        assert box.order("/setup/accept", epr=epr, **names) == {}

    def reach_center(self, way):
        box, decide = self.box, self.decide
        fields = {
            "url": decide("the center's address", way.urls[0]),
            "username": decide("the box's user there", way.username),
            "password": decide("its password there", way.password),
        }
        assert box.order("/setup/center", **fields) == {}
        box.until(lambda state: state["link"]["is_connected"], 60)
        decide("keep the new way", True)
        assert box.order("/setup/confirm") == {}

    def read_back(self, code):
        said = self.box.order("/setup/code/check", code=self.decide("code read back", code))
        assert said == {"outcome": "right"}

    def press(self, path, **fields):
        """Press a button of the service page; return the answer."""
        body = urlencode({**fields, "csrf": self.box.csrf}).encode()
        page = self.box.page
        return page.ask(path, "POST", body, Cookie=self.box.cookie, Origin=page.url)


@pytest.fixture
def camera(tmp_path, drawn_loops):
    with CameraProcess(tmp_path, CAMERA, *drawn_loops, discovery_port=DISCOVERY_PORT) as camera:
        camera.until_said("camera ready")
        yield camera


@asynccontextmanager
async def city(folder):
    broker, port = make_broker("mosquitto", folder / "broker", [ADDRESS]), free_port()
    await broker.start()
    config = CenterConfig(
        folder, broker.settings(CENTER), base_url=f"http://{HOST}:{port}", backoff=QUICK
    )
    center = Center(config, SystemClock())
    try:
        async with running(center), serving(Starlette(routes=center.routes()), port):
            yield broker, center
    finally:
        await broker.stop()


def poleside(box, *words):
    done = subprocess.run(
        [sys.executable, "-m", "agent.local.cli.main", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def papers_are_made(technician, folder):
    """The report is signed and whole, and says what was seen; the bundle tells no secret."""
    box = technician.box
    pdf = technician.press("/service/report", **{"as": "pdf"})
    assert (pdf.status, pdf.headers["content-type"]) == (200, "application/pdf"), pdf.body[:500]
    (folder / "report.pdf").write_bytes(pdf.body)
    command = ["pdftotext", "-layout", folder / "report.pdf", "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for words in (
        "북문",
        SERIAL[CAMERA],
        "Seen by the center",
        "passed",
        "picture",
        "not calibrated",
    ):
        assert words in text, words
    out, config = folder / "report", box.settings_file
    poleside(box, "report", "make", "--config", config, "--out", out, "--lang", "ko")
    key = folder / "box.jwk.json"
    key.write_text(poleside(box, "clip", "key", "--data-dir", box.data_dir))
    assert "Whole" in poleside(box, "report", "verify", out, "--box-key", key)
    (out / "report.html").write_bytes((out / "report.html").read_bytes() + b" ")
    verify = (sys.executable, "-m", "agent.local.cli.main", "report", "verify", out)
    assert subprocess.run([*verify, "--box-key", key], check=False).returncode == 1
    bundle = technician.press("/service/bundle")
    assert bundle.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(bundle.body)) as parts:
        assert {"state.json", "cameras.json", "cameras/gate.json"} <= set(parts.namelist())
        assert SERIAL[CAMERA].encode() in parts.read("cameras.json")
        for name in parts.namelist():
            assert PASSWORD.encode() not in parts.read(name), name


def command_line_tells(box):
    """Status in both languages, events and the settings' history; a step back is taken."""
    config = ("--config", box.settings_file)
    state = json.loads(poleside(box, "status", *config, "--json"))
    assert camera_in(state, "gate")["name"] == "북문"
    assert "북문" in poleside(box, "status", *config, "--lang", "ko")
    poleside(box, "events", *config, "--json")
    history = json.loads(poleside(box, "config", "history", *config, "--json"))
    assert [one["by"] for one in history] == ["box", "page:kim", "page:kim"]
    assert "cameras.gate" in history[1]["changed"]
    with_name = history[-1]["version"]
    zone = {"rule_id": "z", "kind": "intrusion", "points": "[[0,0],[1,0],[1,1]]"}
    assert box.order("/setup/cameras/gate/rules", **zone) == {}
    diff = subprocess.run(
        [sys.executable, "-m", "agent.local.cli.main", "config", "diff", *config, str(with_name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "cameras.gate.rules" in diff.stdout, diff
    words = ("config", "rollback", *map(str, config), str(with_name), "--yes", "--json")
    assert json.loads(poleside(box, *words))["is_on_trial"]
    assert box.ask("/setup/cameras/gate/rules")["rules"] == []


def is_in_doubt(box):
    page = box.page.ask("/service", Cookie=box.cookie).body
    return b'<p class="notice">Another camera hangs here' in page


def camera_is_swapped(technician, camera, folder, loops):
    """Another camera at the same place: id, zones and recordings stay, to be checked."""
    box, config = technician.box, ("--config", technician.box.settings_file)
    points = "[[0.1,0.1],[0.9,0.1],[0.9,0.9]]"
    box.order("/setup/cameras/gate/rules", rule_id="kept", kind="intrusion", points=points)
    recorded = box.until(lambda s: (camera_in(s, "gate")["recorded_s"] or 0) > 0)
    assert recorded
    camera.stop()
    other = CameraProcess(folder / "other", "other", *loops)
    with other:
        other.until_said("camera ready")
        secret = folder / "camera-password"
        secret.write_text(other.password)
        url = f"http://{HOST}:{other.onvif_port}/onvif/device_service"
        new = ("--onvif-url", url, "--username", other.username, "--password-file", secret)
        said = poleside(box, "swap", "camera", *config, "gate", *new)
        assert SERIAL["other"] in said, said
        assert "check zones and scale" in said
        box.until(lambda s: camera_in(s, "gate")["is_recording"], 90)
        rules = box.ask("/setup/cameras/gate/rules")["rules"]
        assert [one["rule_id"] for one in rules] == ["kept"]
        assert is_in_doubt(box)
        zones_are_right(technician)


def zones_are_right(technician):
    confirmed = technician.press("/service/cameras/gate/confirm")
    assert confirmed.status == 200
    deadline_s = time.monotonic() + 60
    while is_in_doubt(technician.box):
        assert time.monotonic() < deadline_s
        time.sleep(0.5)


def camera_is_swapped_at_the_page(technician, folder, loops):
    """Found, verified and put in the place with the page's own buttons, and let in by them."""
    box, name = technician.box, "third"
    third = CameraProcess(folder / name, name, *loops, discovery_port=DISCOVERY_PORT)
    with third:
        third.until_said("camera ready")
        deadline_s = time.monotonic() + 60
        while name not in (found := {one["name"]: one for one in found_by(box)}):
            assert time.monotonic() < deadline_s, found
        epr = found[name]["epr"]
        login = {"username": third.username, "password": third.password}
        assert box.order("/setup/verify", epr=epr, **login)["is_in"]
        swapped = technician.press("/service/cameras/gate/swap", epr=epr)
        assert swapped.status == 200, swapped.body
        box.until(lambda s: camera_in(s, "gate")["is_recording"], 90)
        deadline_s = time.monotonic() + 60
        while not is_in_doubt(box):
            assert time.monotonic() < deadline_s
            time.sleep(0.5)
        page = box.page.ask("/service", Cookie=box.cookie).body
        assert SERIAL[name].encode() in page
        rules = box.ask("/setup/cameras/gate/rules")["rules"]
        assert [one["rule_id"] for one in rules] == ["kept"]
        zones_are_right(technician)


@pytest.mark.timeout(400)
async def test_from_the_label_to_a_camera_seen_by_the_center_in_few_decisions(
    tmp_path, camera, drawn_loops
):
    async with city(tmp_path / "city") as (broker, center):
        keys = public_keys_file(tmp_path / "city")
        told = {
            "center": {"telemetry_s": 2.0, "keys_file": str(keys)},
            "uploads": {"plain_http": True},
        }
        with SetUpBox(tmp_path, **told) as box:
            technician = Technician(box)

            def install():
                box.until(lambda state: state["processes"], 60)
                technician.claim()
                technician.take_camera(camera)
                box.until(lambda s: s["cameras"] and camera_in(s, "gate")["is_recording"], 90)
                technician.reach_center(broker.settings("box-1"))
                assert box.order("/setup/code") == {}

            await asyncio.to_thread(install)
            seen = []

            async def is_seen():
                boxes = [one for one in await center.boxes() if one.telemetry]
                seen[:] = [one.telemetry.read_back for one in boxes]
                cameras = {one.camera_id: one for box in boxes for one in box.telemetry.cameras}
                gate = cameras.get("gate")
                return any(seen) and gate and gate.state is CameraState.ONLINE and gate.recording

            async with asyncio.timeout(90):
                await eventually(is_seen)
            await asyncio.to_thread(technician.read_back, seen[0])
            decisions = technician.decisions
            print(f"\n{len(decisions)} decisions:", *decisions, sep="\n  ")  # noqa: T201
            assert len(decisions) <= MOST_DECISIONS

            await asyncio.to_thread(papers_are_made, technician, tmp_path)
            sent = await asyncio.to_thread(technician.press, "/service/report/send")
            assert b"waits for the center" in sent.body

            async def has_report():
                return [one.content_type for one in await center.uploads()] == ["application/pdf"]

            async with asyncio.timeout(90):
                await eventually(has_report)
            (upload,) = await center.uploads()
            assert upload.path.read_bytes().startswith(b"%PDF-1.7")
            await asyncio.to_thread(command_line_tells, box)
            await asyncio.to_thread(camera_is_swapped, technician, camera, tmp_path, drawn_loops)
            await asyncio.to_thread(
                camera_is_swapped_at_the_page, technician, tmp_path, drawn_loops
            )
