"""What is amiss with a camera's control side is said in both languages, with what to do."""

import re

import pytest

from agent.health import onvif
from agent.health.catalogue.onvif import ONVIF

_WELL = {"is_exchanged": False, "candidates": (), "drift": ()}


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"is_exchanged": True}, "camera.exchanged"),
        ({"candidates": ("http://10.0.0.9/onvif/device_service",)}, "camera.candidate"),
        ({"twins": "10.0.0.8, 10.0.0.9"}, "camera.shared_mac"),
        ({"drift": ("Encoders/Configurations[main]/GovLength",)}, "camera.set_up_otherwise"),
    ],
)
def test_a_fact_becomes_its_fault(facts, code):
    (fault,) = onvif.place_faults("gate", **(_WELL | facts))
    assert fault.code == code
    for text in (fault.sentence_en, fault.sentence_ko, fault.hint_en, fault.hint_ko):
        assert text
        assert "{" not in text
    assert re.search("[가-힣]", fault.hint_ko)


@pytest.mark.parametrize(
    "code", ["camera.gop_long", "camera.smart_codec", "camera.sends_audio", "camera.other_codec"]
)
def test_an_awkward_stream_is_a_fault_that_names_the_stream(code):
    (fault,) = onvif.stream_faults("gate", ((code, "main, sub"),), audio_allowed=False)
    assert (fault.code, fault.subject) == (code, "camera/gate")
    assert "main, sub" in fault.sentence_en
    assert "main, sub" in fault.sentence_ko
    assert re.search("[가-힣]", fault.hint_ko)


def test_sound_that_the_center_allowed_is_no_fault():
    told = (("camera.sends_audio", "main"),)
    assert list(onvif.stream_faults("gate", told, audio_allowed=True)) == []


def test_a_bell_that_is_not_heard_is_a_fault_and_an_absent_camera_is_told_of_once():
    def codes(code: str | None, *, has_bells: bool) -> list[str]:
        return [f.code for f in onvif.event_faults("gate", code, has_bells=has_bells)]

    assert codes("camera.bad_response", has_bells=True) == ["camera.no_events"]
    assert codes("camera.unreachable", has_bells=True) == []
    assert codes("camera.bad_response", has_bells=False) == []
    assert codes(None, has_bells=True) == []


def test_the_catalogue_holds_no_more():
    assert len(ONVIF) == 9
