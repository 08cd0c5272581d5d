"""What `link`, `doctor` and `incidents` say to a Korean reader is Korean, to the last hint."""

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.contract.events import TimeQuality
from agent.contract.telemetry import DataSample
from agent.core.errors import StorageError
from agent.detect import manifest, model_signature
from agent.health.checks import clock_faults
from agent.local.cli import diagnosis, doctor, incidents, link
from agent.local.cli.main import cli
from agent.local.cli.sentences import in_korean
from agent.local.cli.spoken import words_of
from agent.uplink import certificate_refusal, endpoint, probe
from agent.uplink.link_report import LinkReport

HANGUL = re.compile("[가-힣]")
MODULES = (probe, endpoint, certificate_refusal, diagnosis, manifest, model_signature)
FILLED_IN = "10.0.0.1"  # a value of any kind: it is handed on as it is


def sentences(module):
    """Return each text of a module that a person may read, filled in."""
    tree = ast.parse(Path(module.__file__).read_text())
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    inner = {
        id(value)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for value in ast.walk(node)
        if value is not node
    }
    for node in ast.walk(tree):
        if id(node) in docs | inner:
            continue
        if isinstance(node, ast.JoinedStr):
            text = "".join(
                part.value if isinstance(part, ast.Constant) else FILLED_IN for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if text[-1:] in (".", "?") and len(text.split()) > 2:
            yield text


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_each_sentence_is_known_in_korean(module):
    found = list(sentences(module))
    assert found
    unknown = [
        text for text in found if "원문" in (said := in_korean(text)) or not HANGUL.search(said)
    ]
    assert unknown == []


def test_an_error_with_its_hint_is_korean_as_a_whole():
    error = (
        "[link.unreachable] No broker answers at mqtt://10.0.0.1:1883: Connection refused."
        " What to do: Check the network, `broker.urls`, and that the broker runs."
    )
    said = in_korean(error)
    assert said.startswith("브로커 mqtt://10.0.0.1:1883에서 응답이 없음")
    assert "조치: 네트워크와" in said
    assert "What to do" not in said


def test_what_nobody_knows_is_marked_as_it_came():
    assert in_korean("The moon is full.") == "원문: The moon is full."
    assert in_korean("gone wrong", "link.tls").startswith("인증서를 신뢰할 수 없음 [link.tls]")


def english(text):
    return set(re.findall(r"[A-Za-z]{2,}", text))


def test_the_whole_doctor_is_korean(capsys):
    error = StorageError("storage.unreadable", "The key can't be read.", hint="The moon is full.")
    for finding in (
        diagnosis.Finding(
            level=diagnosis.Level.OK, subject="data folder", sentence="/a can be written."
        ),
        diagnosis._fail("camera gate", "10.0.0.1:554 refuses.", "x", ""),
        *diagnosis._judge("clock", "", clock_faults(TimeQuality.UNSYNCED)),
        doctor._trouble(error),
    ):
        doctor._show(finding, "ko")
    shown = capsys.readouterr().out
    told, _, foreign = shown.partition("원문")
    assert english(told) <= {"camera", "gate", "clock", "unproven", "NTP"}
    for word in (
        "데이터 폴더: /a: 쓸 수 있음.",
        "카메라 gate: 10.0.0.1:554: 접속을 거부함.",
        "시각:",
    ):
        assert word in told
    assert "The key can't be read." in foreign


def test_what_the_link_tells_is_korean_but_for_what_is_named():
    since = datetime(2026, 5, 4, tzinfo=UTC)
    up = LinkReport(
        t=since,
        connected=True,
        since=since,
        endpoint="mqtts://10.0.0.1:8883",
        center_online=False,
        mqtt="5",
        has_twin=True,
        unheard_s=130.0,
        data=DataSample(month="2026-05", mode="sparing", used_bytes=7, limit_bytes=9_000_000),
    )
    down = LinkReport(
        t=since, connected=False, since=since, error="The name a of the broker is not known."
    )
    lines = [line for one in (up, down, None) for line in link._link_lines(one, "ko")]
    assert english("\n".join(lines)) <= {"mqtts", "MQTT", "MB", "ID"}
    assert any("절약" in line for line in lines)
    assert any("접속 안 됨" in line for line in lines)
    assert not HANGUL.search("".join(link._link_lines(up, "en")))


def test_what_is_told_of_incidents_is_korean():
    told = {
        "called": ["gate"],
        "may_turn": ["yard"],
        "policies": ["p1"],
        "candidates": [
            {
                "camera_id": "gate",
                "distance_m": 18.0,
                "bearing_deg": 90.0,
                "pixels_per_m": 40.0,
                "is_busy": True,
            }
        ],
    }
    shown = "\n".join(incidents._tried_lines(told, words_of("ko")))
    assert english(shown) <= {"gate", "yard", "px"}
    for word in (
        "호출될 카메라",
        "그쪽으로 향할 카메라",
        "사용 중",
        "아직 보이지 않음",
        "정책 p1",
    ):
        assert word in shown
    nothing = {"called": [], "may_turn": [], "policies": [], "candidates": []}
    assert HANGUL.search(incidents._tried_lines(nothing, words_of("ko"))[0])


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LC_MESSAGES": "ko_KR", "LANG": "en_US"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "POLESIDE_LANG": "en"}, "en"),
        ({}, "en"),
    ],
)
def test_a_command_speaks_the_terminals_language_unless_told_otherwise(
    tmp_path, environment, language
):
    unset = dict.fromkeys(("LC_ALL", "LC_MESSAGES", "LANG", "POLESIDE_LANG"))
    (tmp_path / "run").mkdir()
    words = ["incidents", "sessions", "--data-dir", str(tmp_path)]
    done = CliRunner(env=unset | environment).invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert bool(HANGUL.search(done.output)) is (language == "ko")
