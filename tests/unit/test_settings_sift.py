"""A bad key of a desired document is left out alone, with its path; all that fits is kept."""

import pytest

from agent.settings.load import Layers
from agent.settings.model import BufferSettings
from agent.settings.sift import sift as sift_layers

FILE = {"cameras": [{"camera_id": "gate", "main_url": "rtsp://10.0.0.1/m"}]}
GOOD = {"buffer": {"segment_s": 20.0}}
ZONE = [[0, 0], [0, 5], [1, 1]]


def sift(table, desired):
    return sift_layers(table, Layers({}, desired))


def gate(**changes):
    return {"cameras": [{"camera_id": "gate"} | changes]}


def test_what_fits_is_kept_whole():
    wish = GOOD | gate(detect_fps=3.0)
    found = sift(FILE, wish)
    assert (found.layers.desired, found.left_out) == (wish, ())
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
        ({"cameras": [{"camera_id": "roof", "detect_fps": 3.0}]}, "$.cameras[roof]"),
        ({"cameras": [{"camera_id": 5}]}, "$.cameras"),
        ({"cameras": ["gate"]}, "$.cameras"),
        (gate(record_audio=True), "$.cameras[gate].record_audio"),
        ({"pole": {"inputs": [{"input_id": "bell", "meaning": "bell", "line": "GPIO17",
                               "camera_id": "roof"}]}}, "$.pole.inputs"),
        ({"buffer": {"segment_s": 20.0, "medium_id": "x"}}, "$.buffer.medium_id"),
        ({"outbox": {"max_bytes": 1}}, "$.outbox.max_bytes"),
    ],
)  # fmt: skip
def test_a_bad_key_is_left_out_alone(bad, path):
    found = sift(FILE, GOOD | bad)
    assert [left.path for left in found.left_out] == [path]
    assert found.layers.desired == GOOD
    assert found.settings.buffer.segment_s == 20.0


def test_a_null_removes_what_the_file_says_and_counts_as_wanted():
    file = FILE | {"buffer": {"segment_s": 20.0, "min_free_bytes": 0}}
    wish = {"buffer": {"segment_s": None}}
    found = sift(file, wish | {"colour": None})
    assert [left.path for left in found.left_out] == []  # nothing to remove there: no mistake
    assert found.layers.desired == wish | {"colour": None}
    assert found.settings.buffer.segment_s == BufferSettings().segment_s
    assert found.settings.buffer.min_free_bytes == 0


def test_a_null_removes_what_was_set_at_the_page():
    layers = Layers(gate(name="North gate", detect_fps=3.0), gate(name=None))
    found = sift_layers(FILE, layers)
    assert (found.layers, found.left_out) == (layers, ())
    assert found.settings.camera("gate").name == ""
    assert found.settings.camera("gate").detect_fps == 3.0


def test_a_null_that_takes_what_a_camera_needs_is_left_out_alone():
    found = sift(FILE, gate(main_url=None, name=None, detect_fps=3.0))
    assert [left.path for left in found.left_out] == ["$.cameras[gate].main_url"]
    assert found.layers.desired == gate(name=None, detect_fps=3.0)


def test_of_a_camera_named_twice_the_bad_key_alone_is_left_out_wherever_it_stands():
    twice = gate(record=False, detect_fps=3.0)["cameras"] + gate(detect_fps=99, name="N")["cameras"]
    found = sift(FILE, {"cameras": twice + gate(name=None)["cameras"]})
    assert [left.path for left in found.left_out] == ["$.cameras[gate].detect_fps"]
    assert not found.settings.camera("gate").record
    assert found.settings.camera("gate").name == ""


def test_the_good_half_of_a_camera_stays():
    found = sift(FILE, gate(detect_fps=99, record=False, stall_s=1))
    assert {left.path for left in found.left_out} == {
        "$.cameras[gate].detect_fps",
        "$.cameras[gate].stall_s",
    }
    assert found.layers.desired == gate(record=False)


def test_a_key_set_at_the_page_is_left_out_beside_what_the_center_wants():
    layers = Layers(gate(detect_fps=99, name="North gate"), gate(record=False) | GOOD)
    found = sift_layers(FILE, layers)
    assert [(left.path, left.is_local) for left in found.left_out] == [
        ("$.cameras[gate].detect_fps", True)
    ]
    assert found.layers == Layers(gate(name="North gate"), gate(record=False) | GOOD)
    assert found.settings.camera("gate").name == "North gate"


def test_what_was_set_at_the_page_may_stand_on_what_the_center_wants():
    roof = {"camera_id": "roof", "main_url": "rtsp://10.0.0.2/m"}
    layers = Layers({"cameras": [{"camera_id": "roof", "name": "Roof"}]}, {"cameras": [roof]})
    found = sift_layers(FILE, layers)
    assert (found.layers, found.left_out) == (layers, ())
    assert found.settings.camera("roof").name == "Roof"


def test_sound_that_only_the_center_may_order_is_left_out_of_what_was_set_at_the_page():
    found = sift_layers(FILE, Layers(gate(record_audio=True, audio_reason="why"), {}))
    assert [left.path for left in found.left_out] == ["$.cameras[gate].record_audio"]
    assert not found.settings.camera("gate").record_audio
