"""The service page's buttons: a stick, a camera that hangs in a place, a dead box's place."""

import html
import re
import shutil
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from agent.contract.updates import Update, UpdateStage
from agent.local.service.pages import RefusedDisk
from agent.local.usb.media import Stick
from agent.updates.job import Job, LocalOrder
from tests.chained_tape import ChainedTape
from tests.claimed_box import claimed_box, cookie_of
from tests.footage_maker import make_clip


@pytest.fixture
def box(tmp_path):
    with claimed_box(tmp_path) as box:
        box.kim = cookie_of(box.take_over())
        yield box


@pytest.fixture
def stick():
    folder = Path(tempfile.mkdtemp(prefix="stick-", dir="/dev/shm"))
    yield folder
    shutil.rmtree(folder)


def press(box, path, **fields):
    return box.send(path, box.kim, csrf=box.csrf(box.kim), **fields)


def notices(answer):
    found = re.findall(r'class="notice"[^>]*>([^<]*)<', answer.body.decode())
    return found[1:]  # the first is for a browser without script


def test_a_camera_in_doubt_is_shown_and_confirmed_and_audited(box):
    page = box.page.ask("/service", Cookie=box.kim)
    assert any("Another camera hangs here" in text for text in notices(page))
    assert b"Maker Model 7" in page.body
    assert press(box, "/service/cameras/gate/confirm").status == 200
    assert box.confirmed == ["gate"]
    assert press(box, "/service/cameras/none-such/confirm").status == 404
    assert ("camera.confirm", "page:kim", "done", "") in box.told()
    refused = press(box, "/service/cameras/gate/swap", epr="urn:uuid:never-verified")
    assert refused.status == 409
    assert "setup.not_verified" in notices(refused)[0]
    assert box.chosen == []


def plug_in(box, stick):
    box.sticks.append(
        Stick(
            mount=str(stick),
            label="POLESIDE",
            device="/dev/sda1",
            free_bytes=10**9,
            total_bytes=10**9,
            is_read_only=False,
        )
    )


def test_nothing_is_written_but_to_a_stick_and_for_a_reason(box, stick, tmp_path):
    told = {"camera_id": "gate", "since": "2026-11-22T00:00:00", "until": "2026-11-22T00:01:00"}
    for mount in (str(tmp_path), "/", str(stick)):
        refused = press(box, "/service/usb", mount=mount, reason="case 7", **told)
        assert (refused.status, "usb.none" in notices(refused)[0]) == (409, True)
    plug_in(box, stick)
    assert b"POLESIDE" in box.page.ask("/service", Cookie=box.kim).body
    for foreign in ("no", "../keys", ""):
        asked = told | {"camera_id": foreign}
        refused = press(box, "/service/usb", mount=str(stick), reason="x", **asked)
        assert (refused.status, "usb.none" in notices(refused)[0]) == (409, True)
    late = press(box, "/service/usb", mount=str(stick), reason="x", **told | {"since": "soon"})
    assert "clip.bad_time" in notices(late)[0]
    assert press(box, "/service/usb", mount=str(stick), reason="case 7", **told).status == 409
    assert list(stick.iterdir()) == []  # nothing is recorded in that time


def test_who_writes_a_stick_at_the_page_is_told_what_it_lacks(box, stick, tmp_path):
    tape = ChainedTape(box.folder)
    since = tape.clock.utc_now()
    tape.record(make_clip(tmp_path / "gate.mp4", seconds=6, size_px=(160, 120)))
    (tape.folder / tape.segments()[1]["path"]).unlink()
    tape.index.close()
    plug_in(box, stick)
    until = since + timedelta(seconds=6)
    span = {"since": f"{since:%Y-%m-%dT%H:%M:%S}", "until": f"{until:%Y-%m-%dT%H:%M:%S}"}
    asked = {"camera_id": "gate", "mount": str(stick), "reason": "case 7"} | span
    for language, done, cause in (
        ("en", "What could be read is on the stick", "the recording is gone from the disk"),
        ("ko", "읽을 수 있는 영상만 저장되었고", "녹화 파일이 디스크에서 사라졌습니다"),
    ):
        answer = press(box, f"/service/usb?lang={language}", **asked)
        assert answer.status == 200
        said, lack, *_ = map(html.unescape, notices(answer))
        assert done in said
        assert cause in lack


def test_a_dead_boxs_place_is_asked_for_and_taken_after_a_restart(box):
    def shown(words):
        deadline_s = time.monotonic() + 30
        while words not in (page := box.page.ask("/service", Cookie=box.kim).body.decode()):
            assert time.monotonic() < deadline_s, page
            time.sleep(0.05)
        return page

    press(box, "/service/place", center="http://city", code="AAAA", pin="")
    shown("must look like https://host")
    korean = box.page.ask("/service?lang=ko", Cookie=box.kim).body.decode()
    assert "주소는 https://host 형식이어야 합니다. [enrol.address]" in korean
    press(box, "/service/place", center="https://city", code=" AAAA-BBBB ", pin="ab")
    assert "site-1/bx-pole" in shown("bx-pole")
    assert box.enrolled[-1] == ("https://city", "AAAA-BBBB", "ab")
    assert press(box, "/service/restart").status == 409  # nothing would start it again
    assert ("box.swap_asked", "page:kim", "done", "") in box.told()
    assert not [one for one in box.entries() if "AAAA" in one.detail]  # the code is a secret


def test_a_foreign_disk_is_shown_and_taken_over_by_whoever_sees_all_cameras(box):
    assert b"/service/disk" not in box.page.ask("/service", Cookie=box.kim).body
    assert press(box, "/service/disk").status == 409
    box.disk = RefusedDisk("site-9/<b>bx</b>", ("north",))
    page = box.page.ask("/service", Cookie=box.kim).body
    assert b"site-9/&lt;b&gt;bx&lt;/b&gt;" in page
    box.add(box.kim, "lee", "technician", "gate")
    lee = cookie_of(box.sign_in("lee"))
    assert b"/service/disk" not in box.page.ask("/service", Cookie=lee).body
    assert box.send("/service/disk", lee, csrf=box.csrf(lee)).status == 409
    assert box.disk_taken_by == ["page:kim"]  # lee's word did not come through
    assert press(box, "/service/disk").status == 200
    assert box.disk_taken_by == ["page:kim"] * 2
    assert ("box.disk_taken", "page:kim", "done", "") in box.told()


def test_an_update_is_shown_given_up_and_installed_only_from_a_stick(box):
    def page():
        return box.page.ask("/service", Cookie=box.kim).body.decode()

    assert "packages of its own system" in page()
    assert press(box, "/service/update/install", bundle="/etc/passwd").status == 409
    root, stick = box.folder / "root", box.folder / "root/run/poleside-stick"
    for folder in ("usr/lib/poleside", "data/image", "run/poleside-stick", "dev/disk/by-label"):
        (root / folder).mkdir(parents=True)
    (root / "usr/lib/poleside/release.json").write_text('{"version": "1.3.0"}')
    bundle = stick / "poleside-1.4.0.raucb"
    bundle.write_bytes(b"bundle")
    assert "called POLESIDE" in page()
    (root / "dev/disk/by-label/POLESIDE").touch()
    assert "1.3.0" in page()
    assert "1.4.0" in page()
    assert press(box, "/service/update/install", bundle=str(bundle)).status == 200
    asked = msgspec.json.decode((box.folder / "update/order.json").read_bytes(), type=LocalOrder)
    assert (asked.by, asked.order.version) == ("page:kim", "1.4.0")
    order = Update(
        action="install", version="1.4.0", url="file:stick", sha256="ab" * 32, size_bytes=10
    )
    job = Job(id="01", by="center", order=order, stage=UpdateStage.READY, waits_for="incident")
    (box.folder / "update/job.json").write_bytes(msgspec.json.encode(job))
    assert "waits until no incident is on" in page()
    assert press(box, "/service/update/cancel").status == 200
    left = msgspec.json.decode((box.folder / "update/order.json").read_bytes(), type=LocalOrder)
    assert (left.by, left.order.action) == ("page:kim", "cancel")
    assert ("update.cancel", "page:kim", "done", "") in box.told()


def test_what_is_heavy_fails_with_a_sentence_when_the_agent_does_not_run(box):
    refused = press(box, "/service/report", **{"as": "pdf"})
    assert refused.status == 409
    assert "counter.closed" in notices(refused)[0]
