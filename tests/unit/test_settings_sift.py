"""A bad key of a desired document is left out alone, with its path; all that fits is kept."""

import pytest

from agent.core.errors import SettingsError
from agent.settings.load import DESIRED_FILE, REFUSED_FILE, read_desired, usable_desired
from agent.settings.sift import sift

FILE = {"cameras": [{"camera_id": "gate", "main_url": "rtsp://10.0.0.1/m"}]}
GOOD = {"buffer": {"segment_s": 20.0}}
ZONE = [[0, 0], [0, 5], [1, 1]]


def gate(**changes):
    return {"cameras": [{"camera_id": "gate"} | changes]}


def test_what_fits_is_kept_whole():
    wish = GOOD | gate(detect_fps=3.0)
    found = sift(FILE, wish)
    assert (found.desired, found.left_out) == (wish, ())
    assert found.settings.camera("gate").detect_fps == 3.0


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        ({"timelapse": {"every_s": "often"}}, "$.timelapse.every_s"),
        ({"timelapse": {"evry_s": 1.0}}, "$.timelapse.evry_s"),
        ({"colour": "red"}, "$.colour"),
        ({"detector": 5}, "$.detector"),
        ({"broker": {"urls": ["mqtt://evil"]}}, "$.broker"),
        (gate(detect_fps=99), "$.cameras[gate].detect_fps"),
        (gate(main_url="ftp://x"), "$.cameras[gate].main_url"),
        (gate(rules=[{"kind": "intrusion", "rule_id": "r", "zone": ZONE}]),
         "$.cameras[gate].rules"),
        ({"cameras": [{"camera_id": "roof"}]}, "$.cameras[roof]"),
        ({"cameras": {"gate": {}}}, "$.cameras"),
        ({"cameras": [{"camera_id": 5}]}, "$.cameras"),
        ({"outbox": {"max_bytes": 1}}, "$.outbox.max_bytes"),
    ],
)  # fmt: skip
def test_a_bad_key_is_left_out_alone(bad, path):
    found = sift(FILE, GOOD | bad)
    assert [left.path for left in found.left_out] == [path]
    assert found.desired == GOOD
    assert found.settings.buffer.segment_s == 20.0


def test_the_good_half_of_a_camera_stays():
    found = sift(FILE, gate(detect_fps=99, record=False, stall_s=1))
    assert {left.path for left in found.left_out} == {
        "$.cameras[gate].detect_fps",
        "$.cameras[gate].stall_s",
    }
    assert found.desired == gate(record=False)


def test_a_desired_file_that_no_longer_fits_is_set_aside(tmp_path):
    assert usable_desired(FILE, tmp_path) is None
    for content, code in ((b'{"buf', "settings.damaged"), (b'{"colour": 1}', "settings.invalid")):
        (tmp_path / DESIRED_FILE).write_bytes(content)
        error = usable_desired(FILE, tmp_path)
        assert isinstance(error, SettingsError)
        assert error.code == code
        assert read_desired(tmp_path) == {}
        assert (tmp_path / REFUSED_FILE).read_bytes() == content
