"""What a person gets wrong is one plain message with a code and what to do; nothing else stops."""

import contextlib
import http.server
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import tomllib
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from agent.buffer import reading
from agent.contract.topics import BoxAddress
from agent.settings.load import validate
from agent.simulators.broker import CENTER, free_port
from agent.simulators.drawn_scene import ROAD_ZONE
from tests.box_process import (
    HOST,
    BoxProcess,
    CameraProcess,
    Process,
    camera_in,
    faults_in,
)
from tests.brokers import Mosquitto
from tests.faults.crash_lab import disk

SITE, BOX = "site-1", "box-1"
RULE = {"kind": "intrusion", "rule_id": "road", "zone": ROAD_ZONE, "dwell_s": 0.5, "clear_s": 1.0}


def poleside(*arguments: str, **environment: str) -> tuple[int, str]:
    """Run a command to its end; return its exit code and all it said."""
    done = subprocess.run(
        [sys.executable, "-m", "agent.local.cli.main", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def assert_plain(text: str, code: str) -> None:
    assert f"[{code}]" in text
    assert "What to do:" in text
    assert "Traceback" not in text
    assert len(text.strip().splitlines()) == 1, text


# The settings file and the command line


@pytest.mark.parametrize(
    ("lines", "code", "words"),
    [
        ('sites = "x"\n', "settings.invalid", ("`sites`", "$")),
        (
            '[[cameras]]\ncamera_id = "gate"\nmain_url = "rtsp://h/x"\ndetct = false\n',
            "settings.invalid",
            ("`detct`", "$.cameras[0]"),
        ),
        ("[buffer]\nsegment_s = 0.5\n", "settings.invalid", ("$.buffer.segment_s",)),
        ('[broker]\nurls = ["http://h"]\n', "settings.address", ("$.broker.urls[0]", "mqtt://")),
        ('[[cameras]]\ncamera_id = "gate"\n', "settings.invalid", ("main_url", "$.cameras[0]")),
        ("site = x\n", "settings.syntax", ("line 1", "bad.toml")),
    ],
    ids=["key", "key in a camera", "value", "address", "missing", "syntax"],
)
def test_a_wrong_settings_file_is_named_by_path(tmp_path, lines, code, words):
    file = tmp_path / "bad.toml"
    file.write_text(lines)
    exit_code, text = poleside("run", "--config", str(file))
    assert exit_code == 1
    assert_plain(text, code)
    assert all(word in text for word in words), text


def test_no_settings_file_and_nothing_to_run(tmp_path):
    exit_code, text = poleside("run", "--config", str(tmp_path / "none.toml"))
    assert exit_code == 1
    assert_plain(text, "settings.no_file")

    exit_code, text = poleside("run")
    assert exit_code == 1
    assert_plain(text, "settings.nothing")
    assert "poleside demo" in text


def test_a_data_folder_that_is_a_file_is_said(tmp_path):
    (tmp_path / "data").write_text("")
    camera = ["--camera", f"rtsp://{HOST}:9/main", "--broker", f"mqtt://{HOST}:9"]
    for told in (camera, []):  # a folder alone is an empty box
        exit_code, text = poleside("run", *told, "--data-dir", str(tmp_path / "data"))
        assert exit_code == 1
        assert_plain(text, "storage.not_writable")


@pytest.mark.parametrize("order", [("--help",), ("run", "--help"), ("demo", "--help")])
def test_help_is_given(order):
    exit_code, text = poleside(*order)
    assert exit_code == 0
    assert "Usage: poleside" in text


def test_the_example_is_a_valid_file():
    exit_code, text = poleside("run", "--example")
    assert exit_code == 0
    settings = validate(tomllib.loads(text))
    assert settings.cameras[0].password == "CHANGE-ME"
    assert settings.cameras[0].rules[0].rule_id == "yard"


def test_a_taken_port_of_the_center_is_said(tmp_path):
    with http_server() as port:
        exit_code, text = poleside(
            *("center", "ingest", "--data-dir", str(tmp_path), "--broker", f"mqtt://{HOST}:9"),
            *("--http", f"{HOST}:{port}"),
        )
    assert exit_code == 1
    assert "[page.address]" in text
    assert "Traceback" not in text


# The box beside cameras and a broker that are not as told


@contextmanager
def http_server():
    """Something with a web page that is no camera."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer((HOST, 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def cameras(tmp_path, drawn_loops):
    """Two simulated cameras: `good` plays somebody walking by, `locked` is told badly."""
    with (
        CameraProcess(tmp_path, "good", *drawn_loops) as good,
        CameraProcess(tmp_path, "locked", *drawn_loops) as locked,
    ):
        yield good, locked


def broker_settings(port: int) -> dict:
    return {
        "urls": [f"mqtt://{HOST}:{port}"],
        "username": BOX,
        "password": f"secret-{BOX}",
        "keepalive_s": 10,
    }


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_wrong_passwords_and_strangers_cost_only_themselves(tmp_path, cameras):
    good, locked = cameras
    mosquitto = Mosquitto(tmp_path / "broker", [BoxAddress(SITE, BOX)])
    await mosquitto.start()
    mosquitto.set_password(BOX, "another")
    with http_server() as stranger:
        told = [
            good.settings("good", rules=[RULE]),
            locked.settings("locked", password="wrong"),
            {
                "camera_id": "locked-onvif",
                "onvif_url": f"http://{HOST}:{locked.onvif_port}/onvif/device_service",
                "username": locked.username,
                "password": "wrong",
            },
            {"camera_id": "stranger", "main_url": f"rtsp://{HOST}:{stranger}/main"},
            {"camera_id": "stranger-onvif", "onvif_url": f"http://{HOST}:{stranger}/onvif"},
        ]
        settings = {"broker": broker_settings(mosquitto.port), "cameras": told}
        with (
            contextlib.ExitStack() as center,  # outlives the box: what it says last is heard, too
            BoxProcess(tmp_path, settings | {"site": SITE, "box": BOX}) as box,
        ):
            expected = {
                ("camera.wrong_password", "locked"),
                ("camera.wrong_password", "locked-onvif"),
                ("camera.not_a_camera", "stranger"),
                ("camera.not_onvif", "stranger-onvif"),
                ("link.refused_credentials", None),
            }
            state = box.until(lambda state: expected <= set(faults_in(state)), within_s=60)
            for key in expected:
                fault = faults_in(state)[key]
                assert fault["hint_en"], key
                assert fault["hint_ko"], key
            box.until(lambda state: state["outbox"]["queued"]["a"] > 0, within_s=40)

            # the broker's list is put right: everything kept meanwhile arrives, each thing once
            mosquitto.set_password(BOX, f"secret-{BOX}")
            center.enter_context(center_process(tmp_path, mosquitto.port))
            box.until(lambda state: sum(state["outbox"]["queued"].values()) == 0, within_s=120)
            state = box.until(
                lambda state: ("link.refused_credentials", None) not in faults_in(state)
            )

        assert camera_in(state, "good")["is_recording"]
        assert {p["restarts"] or 0 for p in state["processes"]} == {0}
        assert_delivered_once(tmp_path, box.data_dir)
        assert gaps_of(box.data_dir, "good") == []
        assert locked.said().count("login refused") <= 3  # streams once, ONVIF twice
    await mosquitto.stop()


@pytest.mark.slow
async def test_a_broker_that_comes_late_gets_everything_once(tmp_path, cameras):
    good, _ = cameras
    mosquitto = Mosquitto(tmp_path / "broker", [BoxAddress(SITE, BOX)])
    settings = {
        "site": SITE,
        "box": BOX,
        "broker": broker_settings(mosquitto.port),
        "cameras": [good.settings("good", rules=[RULE])],
    }
    with contextlib.ExitStack() as center, BoxProcess(tmp_path, settings) as box:
        state = box.until(lambda state: ("link.down", None) in faults_in(state), within_s=60)
        assert "link.unreachable" in faults_in(state)["link.down", None]["sentence_en"]
        assert camera_in(state, "good")["is_recording"]
        box.until(lambda state: state["outbox"]["queued"]["a"] > 0)
        await mosquitto.start()
        center.enter_context(center_process(tmp_path, mosquitto.port))
        box.until(lambda state: sum(state["outbox"]["queued"].values()) == 0, within_s=90)
    assert_delivered_once(tmp_path, box.data_dir)
    assert gaps_of(box.data_dir, "good") == []
    await mosquitto.stop()


@pytest.mark.slow
def test_a_taken_port_of_the_page_stops_nothing_else(tmp_path, cameras):
    good, _ = cameras
    settings = {
        "broker": broker_settings(free_port()),
        "cameras": [good.settings("good")],
    }
    with http_server() as taken:
        settings["page"] = {"listen": f"{HOST}:{taken}"}
        with BoxProcess(tmp_path, settings) as box:
            box.until_said("page.address")
            box.until_said("stream online")
            assert box.process.poll() is None
            assert "process ended" not in box.said()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 MiB."""
    with disk.tmpfs(tmp_path / "disk", "size=64m") as folder:
        yield folder


@pytest.mark.slow
def test_a_full_disk_is_said_and_heals_when_there_is_room(tmp_path, cameras, small_disk):
    good, _ = cameras
    settings = {
        "data_dir": str(small_disk / "box"),
        "buffer": {"segment_s": 2.0, "min_free_bytes": 8 * 1024**2},
        "broker": broker_settings(free_port()),
        "cameras": [good.settings("good", rules=[RULE])],
    }
    with BoxProcess(tmp_path, settings) as box:
        box.until(lambda state: camera_in(state, "good")["is_recording"])
        ballast = small_disk / "ballast"
        free_bytes = shutil.disk_usage(small_disk).free
        with ballast.open("wb") as file, contextlib.suppress(OSError):
            file.write(bytes(free_bytes))  # the last bytes may be gone meanwhile
            file.flush()

        state = box.until(lambda state: ("disk.full", None) in faults_in(state))
        assert faults_in(state)["disk.full", None]["hint_en"]
        state = box.until(lambda state: not camera_in(state, "good")["is_recording"])
        assert state["light"] == "red"
        time.sleep(5)  # everything goes on with a disk that takes nothing
        assert box.process.poll() is None

        ballast.unlink()
        state = box.until(
            lambda state: (
                camera_in(state, "good")["is_recording"]
                and ("disk.full", None) not in faults_in(state)
            )
        )
        assert {p["state"] for p in state["processes"]} == {"running"}
        assert camera_in(state, "good")["detector"] == "ready"


def center_process(folder: Path, port: int) -> Process:
    return Process(
        folder,
        "center",
        *("agent.local.cli.main", "center", "ingest", "--data-dir", str(folder / "center")),
        *("--site", SITE, "--broker", f"mqtt://{HOST}:{port}", "--username", CENTER),
        *("--http", f"{HOST}:{free_port()}"),
        POLESIDE_BROKER_PASSWORD=f"secret-{CENTER}",
    )


def assert_delivered_once(folder: Path, data_dir: Path) -> None:
    """Compare the box's incidents with what the center stored."""
    with closing(sqlite3.connect(data_dir / "box.db")) as box:
        raised = {row[0] for row in box.execute("SELECT event_id FROM incidents")}
    with closing(sqlite3.connect(folder / "center" / "center.db")) as center:
        stored = [row[0] for row in center.execute("SELECT id FROM records WHERE phase = 'new'")]
    assert raised
    assert raised <= set(stored)
    assert len(stored) == len(set(stored))


def gaps_of(data_dir: Path, camera_id: str) -> list[str]:
    with closing(sqlite3.connect(reading.camera_folder(data_dir, camera_id) / "index.db")) as index:
        rows = index.execute("SELECT cause FROM gaps").fetchall()
    return [cause for (cause,) in rows if cause != "stopped"]
