"""`poleside config`: all errors at once, each with path, values and example; schema; reference."""

import json
import tomllib

import jsonschema
import pytest
from click.testing import CliRunner

from agent.local.cli.config_reference import reload_class
from agent.local.cli.main import cli
from agent.local.cli.run import EXAMPLE
from agent.settings import shape
from agent.settings.check import problems, warnings
from agent.settings.diff import LIVE_CAMERA_FIELDS

EXAMPLES = tomllib.loads(EXAMPLE)
BAD = """
site = "Down Town"
log_level = "loud"
[buffer]
segmnt_s = 5
retention_days = 900
[[cameras]]
camera_id = "a"
[[cameras]]
camera_id = "b"
main_url = "http://poleside:canary-7@10.0.0.1/x"
password = 5
detect_fps = "ten"
[[cameras.rules]]
kind = "intrsion"
rule_id = "r"
[[cameras.rules]]
kind = "intrusion"
rule_id = "s"
dwel_s = 3
zone = [[0, 0], [2, 0], [1, 1]]
[[cameras.rules]]
kind = "intrusion"
zone = [[0, 0], [1, 0], [1, 1]]
"""
WRONG = {
    "site": ("matching", 'site = "tb-001"'),
    "log_level": ("debug, error, info, warning", 'log_level = "info"'),
    "buffer.segmnt_s": ("segment_s", "segment_s = 10.0"),
    "buffer.retention_days": ("at most 365", "retention_days = 30.0"),
    "cameras[0]": ("", ""),
    "cameras[1].main_url": ("rtsp, rtsps", ""),
    "cameras[1].password": ("a text", 'password = "CHANGE-ME"'),
    "cameras[1].detect_fps": ("above 0, at most 30", "detect_fps = 5.0"),
    "cameras[1].rules[0].kind": ("line-crossing", 'kind = "intrusion"'),
    "cameras[1].rules[1].dwel_s": ("dwell_s", "dwell_s = 2.0"),
    "cameras[1].rules[1].zone[1][0]": ("at least 0, at most 1", "zone = [["),
    "cameras[1].rules[2].rule_id": ("matching", 'rule_id = "yard"'),
}


def poleside(*arguments):
    return CliRunner().invoke(cli, ["config", *arguments])


def test_every_error_is_told_at_once_with_values_and_example():
    found = {one.path: one for one in problems(tomllib.loads(BAD), EXAMPLES)}
    assert found.keys() == WRONG.keys()
    for path, (allowed, example) in WRONG.items():
        assert allowed in found[path].allowed
        assert found[path].example.startswith(example)


def test_a_right_file_has_no_error_and_the_example_is_right():
    assert problems(EXAMPLES) == []
    assert problems({}) == []


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ({"cameras": [{"camera_id": "a", "main_url": "rtsp://h/m"}] * 2}, "(the whole file)"),
        ({"buffer": 3}, "buffer"),
        ({"cameras": {}}, "cameras"),
        ({"broker": {"urls": ["ftp://x"]}}, "broker.urls[0]"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"cameras": [{"camera_id": "a", "main_url": "rtsp://h/m", "thresholds": {"x": 9}}]},
         "cameras[0].thresholds"),
        ({"cameras": [{"camera_id": "a", "main_url": "rtsp://h/m", "record_audio": True}]},
         "cameras[0].record_audio"),
    ],
)  # fmt: skip
def test_it_always_ends_and_names_the_place(table, path):
    assert [one.path for one in problems(table)] == [path]


def test_the_command_says_it_in_words_or_json_and_by_its_exit_code(tmp_path):
    file = tmp_path / "box.toml"
    file.write_text(BAD)
    told = poleside("check", str(file))
    assert told.exit_code == 1
    assert "allowed: one of debug, error, info, warning" in told.output
    assert "canary-7" not in told.output
    listed = json.loads(poleside("check", str(file), "--json").output)
    assert {one["path"] for one in listed} == WRONG.keys()
    file.write_text(EXAMPLE)
    assert poleside("check", str(file)).exit_code == 0


def test_a_keepalive_that_costs_the_minute_is_allowed_and_told(tmp_path):
    file = tmp_path / "box.toml"
    slow = tomllib.loads(EXAMPLE)["broker"] | {"keepalive_s": 600}
    assert warnings({"broker": slow})[0][0] == "broker.keepalive_s"
    file.write_text(EXAMPLE.replace("[broker]", "[broker]\nkeepalive_s = 600"))
    told = poleside("check", str(file))
    assert told.exit_code == 0
    assert "broker.keepalive_s: over 32" in told.output
    file.write_text(EXAMPLE.replace("[broker]", "[broker]\nkeepalive_s = 32"))
    assert "keepalive_s" not in poleside("check", str(file)).output
    assert warnings({"broker": {"keepalive_s": "long"}}) == warnings({"broker": 5}) == []


def test_the_schema_takes_the_example_and_refuses_what_is_wrong():
    validator = jsonschema.Draft202012Validator(json.loads(poleside("schema").output))
    assert list(validator.iter_errors(EXAMPLES)) == []
    assert len(list(validator.iter_errors(tomllib.loads(BAD)))) >= 4


def test_the_reference_tells_every_key_and_what_its_change_restarts():
    text = poleside("reference").output
    for name, node in shape.schema()["$defs"].items():
        for key in node.get("properties", ()):
            assert f"| `{key}` |" in text, f"{name}.{key}"
    assert reload_class("page") == "file only"
    assert reload_class("broker") == "file, page"
    assert reload_class("uploads") == "live"
    assert reload_class("buffer") == "camera"
    assert reload_class("sightings") == "camera"  # its worker keeps and prunes them
    assert "core" in reload_class("outbox")
    assert {reload_class(f"cameras.{key}") for key in LIVE_CAMERA_FIELDS} == {"live"}
    assert reload_class("cameras.main_url") == "camera"
