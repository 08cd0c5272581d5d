"""A wrong settings file is told by its path and what to do; the center's wishes lie over it."""

import json

import pytest

from agent.app.settings_on_disk import stored_over
from agent.core.errors import SettingsError
from agent.settings.in_effect import damaged, set_damaged_aside
from agent.settings.load import (
    DESIRED_FILE,
    NOT_DESIRABLE,
    merge_patch,
    read_desired,
    read_file,
    refuse_undesirable,
    validate,
    with_desired,
    write_desired,
)

GATE = {"camera_id": "gate", "main_url": "rtsp://10.0.0.1/main", "password": "s3cret"}
YARD = {"camera_id": "yard", "onvif_url": "http://10.0.0.2/onvif/device_service"}
RULE = {"kind": "intrusion", "rule_id": "a", "zone": [[0, 0], [1, 0], [1, 1]]}
TWO = {"buffer": {"segment_s": 5.0}, "cameras": [GATE, YARD]}


def refused(table):
    with pytest.raises(SettingsError) as caught:
        validate(table)
    return caught.value


@pytest.mark.parametrize(
    ("table", "path", "word"),
    [
        pytest.param({"brokr": {}}, "$", "brokr", id="unknown section"),
        pytest.param({"buffer": {"segmnt_s": 5}}, "$.buffer", "segmnt_s", id="unknown key"),
        pytest.param({"cameras": [GATE, YARD | {"hue": 1}]}, "$.cameras[1]", "hue", id="camera"),
        pytest.param({"buffer": {"segment_s": "ten"}}, "$.buffer.segment_s", "float", id="type"),
        pytest.param({"buffer": {"segment_s": 500}}, "$.buffer.segment_s", "60", id="limit"),
        pytest.param({"site": "Down Town"}, "$.site", "matching", id="slug"),
        pytest.param({"log_level": "loud"}, "$.log_level", "loud", id="no such choice"),
        pytest.param({"cameras": [GATE, GATE]}, "$", "camera_id", id="twice the same camera"),
        pytest.param(
            {"cameras": [GATE | {"rules": [RULE, RULE]}]}, "$.cameras[0]", "rule_id", id="two rules"
        ),
        pytest.param(
            {"cameras": [GATE | {"rules": [RULE | {"zone": [[0, 0], [2, 0], [1, 1]]}]}]},
            "$.cameras[0].rules[0].zone[1][0]",
            "1.0",
            id="a zone outside the picture",
        ),
        pytest.param(
            {"cameras": [{"camera_id": "a"}]}, "$.cameras[0]", "main_url", id="no address at all"
        ),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_its_path_and_a_hint(table, path, word):
    error = refused(table)
    assert f"`{path}`" in error.message
    assert word in error.message
    assert error.hint


def test_an_unknown_key_is_named_in_the_hint():
    assert "`segmnt_s`" in refused({"buffer": {"segmnt_s": 5}}).hint


@pytest.mark.parametrize(
    ("table", "path", "scheme"),
    [
        ({"broker": {"urls": ["mqtt://ok", "tcp://broker"]}}, "$.broker.urls[1]", "mqtts"),
        ({"cameras": [GATE | {"main_url": "http://10.0.0.1/"}]}, "$.cameras[0].main_url", "rtsp"),
        ({"cameras": [GATE | {"sub_url": "10.0.0.1/sub"}]}, "$.cameras[0].sub_url", "rtsp"),
        ({"cameras": [GATE | {"main_url": "rtsp://h:99999/"}]}, "$.cameras[0].main_url", "rtsp"),
        ({"cameras": [GATE | {"main_url": "rtsp://[::1/"}]}, "$.cameras[0].main_url", "rtsp"),
        ({"cameras": [YARD | {"onvif_url": "rtsp://h/"}]}, "$.cameras[0].onvif_url", "http"),
    ],
)
def test_a_bad_address_is_told_by_its_path_and_what_it_must_look_like(table, path, scheme):
    error = refused(table)
    assert error.code == "settings.address"
    assert path in error.message
    assert scheme in error.hint


def test_a_bad_address_with_a_login_in_it_is_told_without_the_password():
    error = refused({"cameras": [GATE | {"main_url": "rtsp://admin:hunter2@h:99999/"}]})
    assert "hunter2" not in str(error)


def test_a_syntax_error_names_the_file_and_the_line(tmp_path):
    file = tmp_path / "box.toml"
    file.write_text('site = "a"\n[buffer]\nsegment_s = = 5\n')
    with pytest.raises(SettingsError) as caught:
        read_file(file)
    assert caught.value.code == "settings.syntax"
    assert "box.toml" in caught.value.message
    assert "line 3" in caught.value.message


def test_text_that_is_no_utf_8_is_a_syntax_error(tmp_path):
    (tmp_path / "box.toml").write_bytes(b'site = "\xff"')
    with pytest.raises(SettingsError, match="not valid TOML"):
        read_file(tmp_path / "box.toml")


def test_a_missing_file_and_a_folder_are_told_plainly(tmp_path):
    with pytest.raises(SettingsError, match="no settings file"):
        read_file(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="can't be read"):
        read_file(tmp_path)


def test_every_setting_has_a_default_but_a_camera_s_address():
    assert validate({}).cameras == ()
    assert validate({"cameras": [GATE]}).camera("gate").detect
    assert validate({}).camera("none") is None


# The center's wishes


def test_a_camera_is_patched_by_its_id_and_the_others_stay():
    new = with_desired(TWO, {"cameras": [{"camera_id": "yard", "detect_fps": 2.0}]})
    assert [camera.camera_id for camera in new.cameras] == ["gate", "yard"]
    assert new.camera("yard").detect_fps == 2.0
    assert new.camera("yard").onvif_url == YARD["onvif_url"]
    assert new.camera("gate") == validate(TWO).camera("gate")


def test_a_camera_with_a_new_id_is_added():
    new = with_desired(TWO, {"cameras": [GATE | {"camera_id": "roof"}]})
    assert [camera.camera_id for camera in new.cameras] == ["gate", "yard", "roof"]


def test_null_takes_a_wish_back_and_the_file_s_value_holds_again():
    desired = merge_patch({}, {"buffer": {"segment_s": 20.0, "sync_s": 1.0}})
    assert with_desired(TWO, desired).buffer.segment_s == 20.0
    desired = merge_patch(desired, {"buffer": {"segment_s": None}})
    assert with_desired(TWO, desired).buffer.segment_s == 5.0
    assert with_desired(TWO, desired).buffer.sync_s == 1.0

    desired = merge_patch(desired, {"cameras": [{"camera_id": "gate", "detect": False}]})
    assert not with_desired(TWO, desired).camera("gate").detect
    desired = merge_patch(desired, {"cameras": [{"camera_id": "gate", "detect": None}]})
    assert with_desired(TWO, desired).camera("gate").detect


@pytest.mark.parametrize("camera_id", [None, 5, ["gate"], {}])
def test_a_camera_patch_without_a_proper_id_is_refused_with_a_path(camera_id):
    with pytest.raises(SettingsError, match=r"\$\.cameras\[0\]"):
        with_desired(TWO, {"cameras": [{"camera_id": camera_id}]})


@pytest.mark.parametrize("key", NOT_DESIRABLE)
def test_what_only_a_technician_may_change_is_refused(key):
    with pytest.raises(SettingsError, match=f"`{key}`") as caught:
        refuse_undesirable({"buffer": {}, key: {}})
    assert caught.value.code == "settings.not_remote"


def test_stored_wishes_lie_over_the_file(tmp_path):
    file = tmp_path / "box.toml"
    file.write_text(f'data_dir = "{tmp_path}"\n[buffer]\nsegment_s = 5\n')
    write_desired(tmp_path, {"buffer": {"segment_s": 7.0}})
    assert stored_over(file).read().buffer.segment_s == 7.0


def test_unreadable_wishes_are_none(tmp_path):
    assert read_desired(tmp_path) == {}
    (tmp_path / DESIRED_FILE).write_text('{"buffer": ')
    assert read_desired(tmp_path) == {}
    (tmp_path / DESIRED_FILE).write_text("[1]")
    assert read_desired(tmp_path) == {}


def test_wishes_that_the_disk_does_not_give_back_never_stop_a_start(tmp_path):
    (tmp_path / DESIRED_FILE).mkdir()  # as good as a bad sector: reading it fails
    assert read_desired(tmp_path) == {}
    set_damaged_aside(tmp_path)
    (left,) = damaged(tmp_path)
    assert (left.path, left.is_local, left.error.code) == ("$", False, "settings.damaged")
    write_desired(tmp_path, {"log_level": "debug"})
    assert damaged(tmp_path) == ()


def test_wishes_are_replaced_whole_or_not_at_all(tmp_path):
    write_desired(tmp_path, {"n": 1})
    with pytest.raises(TypeError):
        write_desired(tmp_path, {"n": object()})
    assert read_desired(tmp_path) == {"n": 1}

    file = tmp_path / DESIRED_FILE
    with file.open() as before:  # who reads it meanwhile sees the old one, whole
        write_desired(tmp_path, {"n": 2})
        assert json.load(before) == {"n": 1}
    assert json.loads(file.read_text()) == {"n": 2}
