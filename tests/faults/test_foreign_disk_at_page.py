"""A dead box's disk in another box: taken over by a button of its page, with all that is on it."""

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest

from agent.app.core_disk import claim_book, on_its_disk
from agent.buffer.medium import read_id
from agent.buffer.report import camera_buffer
from agent.core.clock import SystemClock
from agent.local.access.claim import make_secret
from agent.settings import history
from agent.settings.load import write_local
from agent.settings.model import BufferSettings, Settings
from tests.box_process import BoxProcess, CameraProcess, camera_in
from tests.faults.crash_lab import disk
from tests.outside_box import OutsideBox
from tests.recording import frames_in

ZONE = [[0.1, 0.4], [0.9, 0.4], [0.9, 0.9]]
RULE = {"kind": "intrusion", "rule_id": "drawn", "zone": ZONE}


def ring(data_dir):
    return camera_buffer(data_dir / "cameras/gate", SystemClock().utc_now())


def audited(data_dir):
    with contextlib.closing(sqlite3.connect(data_dir / "box.db")) as connection:
        rows = connection.execute("SELECT body FROM outbox_u").fetchall()
    entries = [json.loads(body)["data"] for (body,) in rows]
    return {(one.get("op"), one.get("actor")): one.get("detail", "") for one in entries}


def known_from_before(mount, data_dir, state_home, monkeypatch):
    """Let a box have had a disk of its own there; return the secret on its label."""
    monkeypatch.setenv("XDG_STATE_HOME", str(state_home))
    settings = Settings(data_dir=str(data_dir), buffer=BufferSettings(require_mount=str(mount)))
    with disk.tmpfs(mount, "size=1m"):
        secret = make_secret(data_dir)
        assert on_its_disk(settings) is settings
        claim_book(settings)
    return secret


@pytest.mark.timeout(240)
def test_a_foreign_disk_is_taken_over_at_the_page_with_what_lies_on_it(
    tmp_path, drawn_loops, monkeypatch
):
    mount = tmp_path / "video"
    data_dir = mount / "poleside"
    secret = known_from_before(mount, data_dir, tmp_path / "state-new", monkeypatch)
    kept = {
        "data_dir": str(data_dir),
        "buffer": {"require_mount": str(mount), "min_free_bytes": 0, "segment_s": 2.0},
    }
    dead = kept | {"site": "site-9", "box": "bx-dead"}
    camera = CameraProcess(tmp_path / "camera", "gate", *drawn_loops)
    with disk.tmpfs(mount, "size=1g"):
        data_dir.mkdir()
        write_local(data_dir, {"cameras": [camera.settings("gate", rules=[RULE])]})
        old = BoxProcess(tmp_path, dead, "old", XDG_STATE_HOME=str(tmp_path / "state-old"))
        with camera, old:
            old.until(lambda state: (camera_in(state, "gate")["recorded_s"] or 0) > 3, 60)
        before, medium_id = ring(data_dir), read_id(mount)
        pictures = sum(map(frames_in, sorted((data_dir / "cameras/gate/video").rglob("*.mp4"))))

        with camera, OutsideBox(tmp_path, kept, "new") as new:
            cookie = new.claimed(secret)
            page = new.ask("/service", cookie=cookie).body.decode()
            assert "site-9/bx-dead" in page
            assert 'action="/service/disk"' in page
            assert ring(data_dir).segments == before.segments  # nothing before somebody's word
            assert new.state_once(cookie, bool)["cameras"] == []  # and none of its settings counts
            assert new.press("/service/disk", cookie).status == 200

            new.once(lambda told: told.status == 401, "/api/state", cookie)  # begins anew, on it
            cookie = new.claimed(secret)
            new.state_once(cookie, lambda state: camera_in(state, "gate")["is_recording"])
            new.once(lambda told: b"<b>box.disk_taken</b>" in told.body, "/audit", cookie)
            assert 'action="/service/disk"' not in new.ask("/service", cookie=cookie).body.decode()

        after = ring(data_dir)
        assert read_id(mount) == medium_id
        assert (after.first_at, after.segments > before.segments) == (before.first_at, True)
        videos = sorted((data_dir / "cameras/gate/video").rglob("*.mp4"))
        assert sum(map(frames_in, videos)) > pictures > 0
        (gate,) = history.versions(data_dir)[-1].settings().cameras
        assert [rule.rule_id for rule in gate.rules] == ["drawn"]
        assert "site-9/bx-dead" in audited(data_dir)["box.disk_taken", "page:kim"]
    assert not Path(data_dir).exists()  # nothing ever went below the mount
