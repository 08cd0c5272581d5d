"""`poleside buffer` and `poleside health`: beside a running box, without it, on a taken disk."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.buffer.index import INDEX_FILE
from tests.box_process import BoxProcess, CameraProcess, camera_in, faults_in
from tests.faults.crash_lab import disk
from tests.footage_maker import make_clip

BUFFER = {"segment_s": 2.0, "min_free_bytes": 0}


def poleside(*arguments: object) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "agent.local.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def told(*arguments: object) -> dict:
    """Return what a command answers with --json; a warning may stand behind it."""
    return json.JSONDecoder().raw_decode(poleside(*arguments, "--json")[1])[0]


@pytest.fixture(scope="module")
def camera(tmp_path_factory):
    folder = tmp_path_factory.mktemp("camera")
    main = make_clip(folder / "main.mp4", seconds=10)
    with CameraProcess(folder, "camera", main, main) as camera:
        yield camera


@pytest.fixture(scope="module")
def boxes(camera, tmp_path_factory):
    """A box while it ran, and the copy of its disk afterwards."""
    folder = tmp_path_factory.mktemp("box")
    settings = {"cameras": [camera.settings("gate", detect=False)], "buffer": BUFFER}
    with BoxProcess(folder, settings) as box:
        box.until(lambda state: (camera_in(state, "gate")["recorded_s"] or 0) > 5)
        yield box


@pytest.fixture(scope="module")
def taken(boxes, tmp_path_factory):
    """The disk of that box, in another machine; the box stops for it."""
    boxes.stop()
    folder = tmp_path_factory.mktemp("taken") / "poleside"
    shutil.copytree(boxes.data_dir, folder, ignore=shutil.ignore_patterns("run"))
    return folder


def test_the_status_of_a_running_box_is_told_in_words_and_as_json(boxes):
    code, text = poleside("buffer", "status", "--data-dir", boxes.data_dir)
    assert code == 0
    assert "gate: " in text
    assert "a segment is open" in text
    (gate,) = told("buffer", "status", "--data-dir", boxes.data_dir)["cameras"]
    assert gate["segments"] >= 2
    assert gate["bytes"] > 0
    assert gate["open_gap"] is None


def test_a_lock_given_beside_the_running_worker_is_taken_and_let_go(boxes):
    at = ("--data-dir", boxes.data_dir, "--camera", "gate")
    span = ("--from", "2026-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z")
    lock = told("buffer", "locks", "add", *at, *span, "--incident", "c-1", "--approver", "Kim")
    (held,) = told("buffer", "locks", *at)["cameras"]["gate"]
    assert (held["lock_id"], held["kind"], held["approver"]) == (
        lock["lock_id"], "evidence", "Kim",
    )  # fmt: skip
    (gate,) = told("buffer", "status", *at)["cameras"]
    assert gate["evidence_locks"] == 1
    assert gate["locked_bytes"] > 0
    assert poleside("buffer", "locks", "remove", *at, lock["lock_id"], "--by", "Lee")[0] == 0
    assert told("buffer", "locks", *at)["cameras"] == {"gate": []}
    (past,) = told("buffer", "locks", *at, "--all")["cameras"]["gate"]
    assert past["released_why"] == "removed"


def test_a_dry_run_tells_what_would_go_and_deletes_nothing(boxes, tmp_path):
    settings = tmp_path / "tight.toml"
    settings.write_text("[buffer]\nmax_bytes = 1\nmin_free_bytes = 0\n")
    answer = told(
        "buffer", "prune", "--dry-run", "--data-dir", boxes.data_dir, "--config", settings
    )
    assert {doom["rule"] for doom in answer["segments"]} == {"share"}
    code, text = poleside("buffer", "prune", "--data-dir", boxes.data_dir)
    assert code == 1
    assert "[buffer.only_dry_run]" in text
    assert told("buffer", "check", "--data-dir", boxes.data_dir)["ok"]


def test_gaps_and_health_of_a_running_box(boxes):
    assert told("buffer", "gaps", "--data-dir", boxes.data_dir)["gaps"] == []
    code, text = poleside("health", "--config", boxes.settings_file)
    answer = told("health", "--config", boxes.settings_file)
    assert answer["is_running"]
    assert (code == 1) == (answer["light"] == "red")
    assert answer["light"].upper() in text


def test_a_taken_disk_answers_even_when_it_is_mounted_read_only(taken, tmp_path):
    mount = tmp_path / "disk"
    with disk.tmpfs(mount, "size=200m"):
        shutil.copytree(taken, mount / "poleside")
        broken = mount / "broken" / "cameras" / "gate" / INDEX_FILE
        broken.parent.mkdir(parents=True)
        broken.write_bytes(b"this is no database" * 1000)
        disk.run("mount", "-o", "remount,ro", str(mount))
        at = ("--data-dir", mount / "poleside")
        (gate,) = told("buffer", "status", *at)["cameras"]
        assert gate["segments"] >= 2
        answer = told("buffer", "check", *at)
        assert answer["has_key"]
        assert answer["cameras"]["gate"]["purges"] == []
        for asked in (("gaps",), ("locks",), ("prune", "--dry-run")):
            assert "code" not in told("buffer", *asked, *at)
        span = ("--from", gate["first_at"], "--to", gate["last_until"])
        clip = tmp_path / "gate.mp4"
        made = told("clip", "export", "--camera", "gate", *span, "--out", clip, *at)
        assert made["frames"] > 0
        assert made["whole"]
        assert poleside("clip", "verify", clip)[0] == 0
        answer = told("buffer", "status", "--data-dir", mount / "broken")
        assert answer["code"] == "storage.no_database"
        health = told("health", *at)
        assert (health["light"], health["is_running"]) == ("red", False)
        assert health["faults"][0]["code"] == "agent.not_running"


def test_what_was_done_to_a_taken_disk_is_found(taken):
    victim = min((taken / "cameras" / "gate" / "video").rglob("*[0-9].mp4"))
    victim.unlink()
    code, text = poleside("buffer", "check", "--data-dir", taken)
    assert code == 1
    assert "missing files 1" in text


def test_the_ledger_is_told_by_the_minute(taken):
    asked = ("buffer", "coverage", "--data-dir", taken, "--last-hours", 1)
    text = poleside(*asked)[1]
    assert "minutes covered, 0 in event-only mode" in text
    minutes = told(*asked)["cameras"]["gate"]
    assert len(minutes) in (59, 60)
    assert {"continuous"} == {minute["mode"] for minute in minutes}


def test_a_camera_or_time_that_is_wrong_is_plainly_said(taken):
    answer = told("buffer", "status", "--data-dir", taken, "--camera", "nope")
    assert answer["code"] == "buffer.no_camera"
    assert answer["hint"]
    code, text = poleside("buffer", "gaps", "--data-dir", taken, "--from", "yesterday")
    assert code == 1
    assert "[buffer.bad_time]" in text
    assert "Traceback" not in text


def test_a_box_without_its_disk_looks_on_says_so_and_records_once_it_is_there(
    camera, tmp_path: Path
):
    mount = tmp_path / "box" / "cameras"
    mount.mkdir(parents=True)
    settings = {
        "cameras": [camera.settings("gate", detect=False)],
        "buffer": BUFFER | {"require_mount": str(mount)},
    }
    with BoxProcess(tmp_path, settings) as box:
        state = box.until(lambda s: ("camera.not_recorded", "gate") in faults_in(s))
        assert not camera_in(state, "gate")["is_recording"]
        assert "storage.wrong_medium" in str(faults_in(state)["camera.not_recorded", "gate"])
        box.until(lambda s: camera_in(s, "gate")["sub_fps"])  # it looks on
        assert not list(mount.rglob("*.mp4"))
        with disk.tmpfs(mount, "size=100m"):
            box.until(lambda s: camera_in(s, "gate")["is_recording"])
            assert list((mount / "gate" / "video").rglob("*.mp4"))
            box.stop()
    assert not list(mount.rglob("*.mp4"))
