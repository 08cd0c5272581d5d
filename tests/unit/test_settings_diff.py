"""A changed setting restarts just what it touches, and no field is forgotten."""

import msgspec
import pytest

from agent.settings.diff import LIVE_CAMERA_FIELDS, diff
from agent.settings.model import CameraSettings, Settings
from agent.settings.pole import OutputSettings, PoleSettings, Purpose
from agent.settings.ptz import PtzSettings
from agent.settings.rules import Calibration, IntrusionRule

GATE = CameraSettings(camera_id="gate", main_url="rtsp://10.0.0.1/main")
YARD = CameraSettings(camera_id="yard", main_url="rtsp://10.0.0.2/main")
FEED = OutputSettings(output_id="x", purpose=Purpose.CAMERA_POWER, line="x")
BASE = Settings(cameras=(GATE, YARD), pole=PoleSettings(outputs=(FEED,)))
CORNER = ((0, 0), (1, 0), (1, 1))
OTHER = {
    bool: lambda value: not value,
    float: lambda value: value + 1,
    int: lambda value: value + 1,
    str: lambda value: value + "x",
    PtzSettings: lambda _: PtzSettings(home=""),
    type(None): lambda _: Calibration(size_m=(10.0, 6.0)),
    dict: lambda _: {"person": 0.3},
    tuple: lambda _: (IntrusionRule(rule_id="a", zone=CORNER),),
    "masks": lambda _: (CORNER,),
}


def change(field):
    value = getattr(GATE, field)
    why = {"audio_reason": "order 7"} if field == "record_audio" else {}
    new = msgspec.structs.replace(
        GATE, **{field: (OTHER.get(field) or OTHER[type(value)])(value)}, **why
    )
    return diff(BASE, msgspec.structs.replace(BASE, cameras=(new, YARD)))


def fields():
    return [f.name for f in msgspec.structs.fields(CameraSettings) if f.name != "camera_id"]


@pytest.mark.parametrize("field", fields())
def test_every_field_of_a_camera_either_retunes_or_restarts_it_and_only_it(field):
    found = change(field)
    assert found.sections == {"cameras"}
    assert (found.added, found.removed) == ((), ())
    expected = ((), ("gate",)) if field in LIVE_CAMERA_FIELDS else (("gate",), ())
    assert (found.restarted, found.retuned) == expected


def test_a_rule_retunes_and_an_address_restarts():
    assert change("rules").retuned == ("gate",)
    assert change("main_url").restarted == ("gate",)


def test_a_rule_and_an_address_at_once_restart():
    new = msgspec.structs.replace(GATE, name="North", main_url="rtsp://10.0.0.9/main")
    found = diff(BASE, msgspec.structs.replace(BASE, cameras=(new, YARD)))
    assert (found.restarted, found.retuned) == (("gate",), ())


def test_cameras_come_and_go_and_another_order_is_no_change_of_theirs():
    roof = msgspec.structs.replace(GATE, camera_id="roof")
    found = diff(BASE, msgspec.structs.replace(BASE, cameras=(YARD, roof)))
    assert (found.added, found.removed) == (("roof",), ("gate",))
    assert (found.restarted, found.retuned) == ((), ())


def test_every_section_is_told_by_its_name_and_the_same_settings_are_no_change():
    new = msgspec.structs.replace(
        BASE, log_level="debug", buffer=msgspec.structs.replace(BASE.buffer, segment_s=5.0)
    )
    assert diff(BASE, new).sections == {"log_level", "buffer"}
    assert diff(BASE, BASE).sections == frozenset()


def test_live_fields_are_fields():
    assert set(fields()) >= LIVE_CAMERA_FIELDS
