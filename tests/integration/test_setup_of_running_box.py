"""A technician sets up a new box at its page: its cameras, its tests, its way to the center.

The box has the settings and the label that the image's first boot makes of nothing at all.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from poleside_image.provision import Places, provision

from agent.cameras.discovery import PORT as DISCOVERY_PORT
from agent.simulators.broker import CENTER
from tests.box_process import HOST, BoxProcess, CameraProcess, camera_in, toml
from tests.brokers import make_broker
from tests.browser.page_server import Served
from tests.claimed_box import PASSWORD, cookie_of
from tests.spine import ADDRESS, eventually, make_center, running

# What a test needs beside what the box makes itself. Each walk of the drawn scene is an incident
# of its own: ten seconds lie between two, about as long as the usual `merge_s`.
FOR_TESTS = {
    "broker": {"urls": [f"mqtt://{HOST}:1"]},
    "center": {"telemetry_s": 60.0},
    "alarms": {"merge_s": 2.0},
    "board": {"kind": "simulated"},
}


class SetUpBox(BoxProcess):
    """Claimed with its label; its orders are given as the page gives them."""

    def __init__(self, folder, **settings):
        super().__init__(folder, {})
        self.page = Served(self.port, None)
        self.cookie = self.csrf = ""
        self.label = self._first_boot(folder, FOR_TESTS | settings)

    def _first_boot(self, folder, settings):
        """Do what the image does before the agent's start; return the label's secret."""
        run = self.data_dir / "network/run/poleside-provision"
        places = Places(*(folder / name for name in ("no-stick", "settings", "noted")))
        places = replace(places, agent=self.data_dir, run=run, medium=folder / "no-medium")
        for made in (places.settings, places.noted):
            made.mkdir()
        told = provision(places, "box-1", group=os.getegid())
        assert told["settings"] == "no settings on a stick"
        assert told["page_at_cameras"]
        text = (places.settings / "poleside.toml").read_text()
        text = text.replace("0.0.0.0:8470", f"{HOST}:{self.port}")
        data_dir = f'data_dir = "{self.data_dir}"\n'
        self.settings_file.write_text(data_dir + text + toml(settings))
        return re.search(r"#([0-9A-Z-]{19})\n", (run / "label.txt").read_text())[1]

    def at_console(self, word):
        command = [sys.executable, "-m", "agent.local.cli.main", "claim", word]
        return subprocess.run(
            [*command, "--config", str(self.settings_file)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.strip()

    def send(self, path, **fields):
        fields["csrf"] = self.csrf
        return self.page.ask(
            path,
            "POST",
            urlencode(fields).encode(),
            Cookie=self.cookie,
            Origin=self.page.url,
        )

    def order(self, path, **fields):
        answer = self.send(path, **fields)
        assert answer.status in (200, 409), answer
        return json.loads(answer.body)

    def ask(self, path):
        return json.loads(self.page.ask(path, Cookie=self.cookie).body)

    def claim(self):
        secret, code = self.label, self.at_console("code")
        claimed = self.send("/claim", secret=secret, code=code, name="kim", password=PASSWORD)
        assert claimed.status == 303, claimed
        self.cookie = cookie_of(claimed)
        page = self.page.ask("/setup", Cookie=self.cookie).body.decode()
        self.csrf = page.partition('name="csrf" value="')[2].partition('"')[0]


@pytest.fixture
def camera(tmp_path, drawn_loops):
    main, sub = drawn_loops
    with CameraProcess(tmp_path, "set-up", main, sub, discovery_port=DISCOVERY_PORT) as camera:
        camera.until_said("camera ready")
        yield camera


@pytest.fixture
def box(tmp_path):
    with SetUpBox(tmp_path) as box:
        yield box


def found_by(box):
    deadline_s = time.monotonic() + 40
    while not (found := box.order("/setup/find")["found"]):
        assert time.monotonic() < deadline_s
    return found


def cable_is(box, step):
    deadline_s = time.monotonic() + 90
    while (seen := box.ask("/setup/tests")["tests"][0])["step"] != step:
        assert time.monotonic() < deadline_s, seen
        time.sleep(0.5)
    return seen


def read_rules(box):
    """Return the camera's rules as they lie on the disk: sessions end with the box."""
    local = json.loads((box.data_dir / "local.json").read_bytes())
    return local["cameras"][0]["rules"]


def pids(state):
    return {one["name"]: one["pid"] for one in state["processes"]}


@pytest.mark.timeout(400)
def test_from_an_empty_box_to_a_recording_camera_without_a_restart(box, camera):
    before = pids(box.until(lambda state: "core" in pids(state), 60))
    box.claim()
    (found,) = found_by(box)
    login = {"username": camera.username, "password": camera.password}
    assert box.order("/setup/verify", epr=found["epr"], **login)["is_in"]
    assert box.order("/setup/accept", epr=found["epr"], camera_id="gate", name="북문") == {}

    state = box.until(
        lambda state: state["cameras"] and camera_in(state, "gate")["is_recording"], 60
    )
    assert camera_in(state, "gate")["name"] == "북문"
    assert pids(state)["core"] == before["core"]
    assert box.order("/setup/find")["found"][0]["camera_id"] == "gate"
    assert camera.password not in box.said()

    whole = json.dumps([[0.01, 0.01], [0.99, 0.01], [0.99, 0.99], [0.01, 0.99]])
    rules = "/setup/cameras/gate/rules"
    assert box.order(rules, rule_id="z", kind="intrusion", points=whole) == {}
    assert box.order("/setup/tests/begin", kind="walk", camera_id="gate") == {}
    deadline_s = time.monotonic() + 90  # somebody walks past again and again
    while not (seen := box.ask("/setup/tests")["tests"][0])["is_passed"]:
        assert time.monotonic() < deadline_s, seen
        time.sleep(0.5)
    assert set(seen["alarms"]) == {"intrusion"}
    assert box.order("/setup/tests/end", kind="walk", camera_id="gate")["is_passed"]
    assert pids(box.state())["camera-gate"] == pids(state)["camera-gate"]

    box.order("/setup/tests/begin", kind="cable", camera_id="gate")
    camera.stop()
    cable_is(box, "cut")
    camera.start()
    assert cable_is(box, "back")["cause"]

    box.stop()
    box.start()
    box.until(lambda state: state["cameras"] and camera_in(state, "gate")["is_recording"], 60)
    assert [rule["rule_id"] for rule in read_rules(box)] == ["z"]
    assert (box.data_dir / "keys/label-over").exists()  # the image forgets the label now


@pytest.mark.timeout(300)
async def test_another_way_to_the_center_is_taken_at_once_and_the_center_reads_a_code_back(
    box, tmp_path
):
    broker = make_broker("mosquitto", tmp_path / "broker", [ADDRESS])
    await broker.start()
    try:
        async with running(make_center(tmp_path, broker.settings(CENTER))) as center:
            before = await asyncio.to_thread(
                box.until, lambda state: state["link"]["endpoint"] or pids(state).get("core"), 60
            )
            await asyncio.to_thread(box.claim)
            to_it = broker.settings("box-1")
            way = {"url": to_it.urls[0], "username": to_it.username, "password": to_it.password}
            assert await asyncio.to_thread(lambda: box.order("/setup/center", **way)) == {}
            after = await asyncio.to_thread(
                box.until, lambda state: state["link"]["is_connected"], 60
            )
            assert pids(after)["core"] == pids(before)["core"]
            waiting = await asyncio.to_thread(box.ask, "/setup/center")
            assert waiting["confirm_within_s"] > 0
            assert await asyncio.to_thread(box.order, "/setup/confirm") == {}

            assert await asyncio.to_thread(box.order, "/setup/code") == {}
            codes = []

            async def is_told():
                boxes = await center.boxes()
                codes[:] = [one.telemetry.read_back for one in boxes if one.telemetry]
                return any(codes)

            await eventually(is_told)
            said = await asyncio.to_thread(lambda: box.order("/setup/code/check", code=codes[0]))
            assert said == {"outcome": "right"}
    finally:
        await broker.stop()
    assert to_it.password not in box.said()
