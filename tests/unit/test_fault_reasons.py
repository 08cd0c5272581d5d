"""Why something is so is told in the reader's language; what nobody knows is marked as raw."""

import ast
import re
from pathlib import Path

import pytest

import agent
from agent.app.process import _in_words
from agent.contract.updates import UpdateInfo, UpdateStage
from agent.core.errors import LinkError, PolesideError
from agent.health.catalogue.reasons import CODES, HEAT, is_code, reason_of
from agent.health.checks import LinkFacts, link_faults
from agent.health.heat import BANDS
from agent.health.settings_file import StickTold, stick_faults
from agent.health.updates import update_faults
from agent.settings.load import refuse_undesirable, validate
from hardware.lines import LineError, NoLines

AGENT = Path(agent.__file__).parent
# Who raises it, and in what of the tree it may become the reason of a fault.
REACH_FAULTS = {
    "CameraError": ("ingest", "app/worker_hub.py"),
    "LinkError": ("uplink",),
    "StorageError": ("core", "buffer/index.py", "buffer/disk_refusal.py", "buffer/medium.py"),
    "FetchError": ("updates",),
}
GATE = {"camera_id": "gate", "main_url": "rtsp://10.0.0.1/main"}
RULE = {"kind": "intrusion", "rule_id": "a", "zone": [[0, 0], [1, 0], [1, 1]]}


def codes_raised(error, places):
    """The codes of every `error("code", …)` under these paths."""
    for place in places:
        path = AGENT / place
        for file in [path] if path.is_file() else path.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == error:
                    first = node.args[0] if node.args else None
                    if isinstance(first, ast.Constant):
                        yield first.value


@pytest.mark.parametrize("error", REACH_FAULTS)
def test_every_code_that_may_be_a_reason_has_words(error):
    found = set(codes_raised(error, REACH_FAULTS[error]))
    assert found
    assert found - CODES.keys() == set()


def test_the_words_are_of_their_language_and_name_the_code():
    for code in CODES:
        reason = reason_of(code)
        assert not re.search("[가-힣]", reason.en)
        assert re.search("[가-힣]", reason.ko)
        assert reason.en.endswith(f"[{code}]")
        assert reason.ko.endswith(f"[{code}]")


def why_refused(call, *args):
    with pytest.raises((PolesideError, LineError)) as refused:
        call(*args)
    error = refused.value
    return error.message if isinstance(error, PolesideError) else str(error)


@pytest.mark.parametrize(
    "table",
    [
        {"brokr": {}},
        {"buffer": {"segment_s": "ten"}},
        {"buffer": {"segment_s": 500}},
        {"site": "Down Town"},
        {"log_level": "loud"},
        {"time_zone": "Mars"},
        {"cameras": [GATE, GATE]},
        {"cameras": [{"camera_id": "gate"}]},
        {"cameras": [{"main_url": "rtsp://x/y"}]},
        {"cameras": [GATE | {"main_url": "ftp://x"}]},
        {"cameras": [GATE | {"rules": [RULE | {"zone": [[0, 0], [1, 1], [1, 0], [0, 1]]}]}]},
        {"cameras": [GATE | {"rules": [RULE | {"labels": ["dragon"]}]}]},
        {"cameras": [GATE | {"rules": [RULE | {"hours": ["always"]}]}]},
        {"alarms": {"overlaps": [["gate", "roof"]]}, "cameras": [GATE]},
    ],
)
def test_what_is_wrong_with_a_setting_is_told_in_korean(table):
    reason = reason_of(why_refused(validate, table))
    assert re.search("[가-힣]", reason.ko)
    assert "원문" not in reason.ko


@pytest.mark.parametrize(
    "text",
    [
        _in_words(9),
        _in_words(7 << 8),
        "needed processes made no progress for 1800 s",
        "could not start: [Errno 12] Cannot allocate memory",
        why_refused(NoLines().open_output, "GPIO17"),
        why_refused(refuse_undesirable, {"broker": {}}),
        "Every engine for yolox has failed: it hung, crashed, or can't run here.",
        "new faults: camera.lost camera/gate",
        "the settings on the stick are not taken: larger than 1 MiB",
    ],
)
def test_our_own_texts_are_told_in_korean(text):
    reason = reason_of(text)
    assert reason.en == text
    assert re.search("[가-힣]", reason.ko)
    assert "원문" not in reason.ko


def test_a_text_of_somebody_else_is_marked_as_it_came():
    assert reason_of("libfoo: bar").ko == "원문: libfoo: bar"
    assert reason_of("libfoo: bar").en == "libfoo: bar"
    assert is_code(reason_of("camera.never_heard_of").ko)


def test_every_band_of_heat_has_words():
    assert HEAT.keys() == {band.name for band in BANDS if band.rate < 1 or band.cameras < 1}


def test_an_error_as_it_writes_itself_is_told_by_its_code():
    error = LinkError("link.unreachable", "Nobody at mqtt://c:1883.", hint="Look.")
    assert reason_of(str(error)).ko == "응답 없음 [link.unreachable]"
    assert reason_of(str(error)).en == str(error)


def test_a_fault_says_its_reason_in_the_language_of_its_sentence():
    (fault,) = link_faults(LinkFacts(is_up=False, down_s=60, code="link.refused"))
    assert "(the broker refuses [link.refused])" in fault.sentence_en
    assert "(브로커가 거부함 [link.refused])" in fault.sentence_ko
    (fault,) = stick_faults(StickTold("the stick can't be read: Input/output error", True))
    assert "USB 메모리를 읽을 수 없음" in fault.sentence_ko
    update = UpdateInfo(
        id="u-1",
        version="2.0",
        stage=UpdateStage.REFUSED,
        code="update.not_trusted",
        why="RAUC does not accept it: signature verification failed",
    )
    (fault,) = update_faults(update)
    assert "서명이 올바르지 않음 [update.not_trusted], 원문: RAUC" in fault.sentence_ko
    assert "(RAUC does not accept it" in fault.sentence_en
