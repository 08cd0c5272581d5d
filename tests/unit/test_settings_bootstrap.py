"""A mistake in the technician's file never stops a box that ran: it alone does not count."""

import tomllib
from datetime import UTC, datetime

import msgspec
import pytest

from agent.app.settings_on_disk import read_to_start
from agent.core.errors import SettingsError
from agent.settings import history
from agent.settings.bootstrap import WHOLE_FILE
from agent.settings.load import validate

FILE = """\
site = "tb-001"
box = "bx-17"
data_dir = "{folder}"
[broker]
urls = ["mqtts://broker.city.example"]
username = "bx-17"
password = "s3cret"
[buffer]
retention_days = 7.0
[[cameras]]
camera_id = "gate"
main_url = "rtsp://10.0.0.1/main"
password = "canary"
[[cameras.rules]]
kind = "intrusion"
rule_id = "yard"
zone = [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]
[[cameras]]
camera_id = "roof"
main_url = "rtsp://10.0.0.2/main"
"""


@pytest.fixture
def file(tmp_path):
    """A box's file that was right at the last start; give `text`, and what to write instead."""
    good = FILE.replace("{folder}", str(tmp_path))
    version = history.Version(
        number=0,
        at=datetime(2026, 11, 22, tzinfo=UTC),
        by="box",
        why="start",
        table=tomllib.loads(good),
        local={},
        desired={},
    )
    history.add(tmp_path, version)
    history.mark_good(tmp_path)

    def write(*changes):
        text = good
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "poleside.toml"
        path.write_text(text)
        return path

    return write


def started(path):
    start = read_to_start(path)
    return validate(start.table), start.left_out


def test_a_file_that_is_right_counts_as_it_stands(file):
    settings, left_out = started(file(("retention_days = 7.0", "retention_days = 3.0")))
    assert (settings.buffer.retention_days, left_out) == (3.0, ())


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (("retention_days = 7.0", "retention_days = 900"), "buffer.retention_days"),
        (('site = "tb-001"', 'site = "Down Town"'), "site"),
        (('site = "tb-001"', 'sites = "tb-001"'), "sites"),
        (('password = "s3cret"', 'pasword = "s3cret"'), "broker.pasword"),
        (("mqtts://broker", "http://broker"), "broker.urls[0]"),
        (('password = "canary"', 'passwort = "canary"'), "cameras[0].passwort"),
        (('main_url = "rtsp://10.0.0.1/main"', "record_sub = true"), "cameras[0]"),
        (('camera_id = "gate"', 'camera_ids = "gate"'), "cameras[0].camera_ids"),
        (("[0.1, 0.1], ", "[7, 7], "), "cameras[0].rules[0].zone[0][0]"),
    ],
)
def test_a_bad_key_is_as_it_was_when_it_was_right(file, change, path):
    before, _ = started(file())
    settings, left_out = started(file(change))
    assert path in left_out
    cameras = tuple(sorted(settings.cameras, key=lambda camera: camera.camera_id))
    assert msgspec.structs.replace(settings, cameras=cameras) == before


def test_what_is_right_beside_a_mistake_is_taken(file):
    settings, left_out = started(
        file(
            ("retention_days = 7.0", "retention_days = 3.0\nsegmnt_s = 5"),
            ("rtsp://10.0.0.2/main", "rtsp://10.0.0.3/main"),
        )
    )
    assert left_out == ("buffer.segmnt_s",)
    assert settings.buffer.retention_days == 3.0
    assert settings.camera("roof").main_url == "rtsp://10.0.0.3/main"


@pytest.mark.parametrize(
    "change",
    [("[buffer]", "[buffer"), ('camera_id = "roof"', 'camera_id = "gate"')],
    ids=["no TOML", "two of one name"],
)
def test_a_file_that_can_t_be_used_is_stood_in_for_by_the_last_right_one(file, change):
    before, _ = started(file())
    assert started(file(change)) == (before, (WHOLE_FILE,))


def test_the_last_right_one_of_another_box_says_nothing_of_this_one(file):
    with pytest.raises(SettingsError, match="segmnt_s"):
        read_to_start(file(("tb-001", "tb-002"), ("retention_days", "segmnt_s")))


@pytest.mark.parametrize("change", [("retention_days", "segmnt_s"), ("[buffer]", "[buffer")])
def test_at_the_first_start_there_is_a_technician_and_it_is_refused(file, tmp_path, change):
    path = file(change)
    for version in history.folder_of(tmp_path).iterdir():
        version.unlink()
    with pytest.raises(SettingsError):
        read_to_start(path)
    with pytest.raises(SettingsError):
        read_to_start(path, str(tmp_path / "elsewhere"))
