"""What a command tells a Korean reader is Korean: heads, states and units, not only sentences."""

import re
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from agent.buffer.index import Index
from agent.contract.events import TimeQuality
from agent.events.reading import Incident
from agent.local.cli import events, health, status
from agent.local.cli.main import cli
from agent.local.cli.spoken import words_of
from agent.local.web import view

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
NAMES = {"gate", "poleside", "UTC", "id", "systemctl", "start", "buffer", "gaps"}  # no words
CODES = {"agent", "not", "running", "camera", "recorded"}


@pytest.fixture
def state():
    camera = view.CameraView(
        camera_id="gate",
        name="북문",
        state=view.CameraState.LOST,
        is_recording=False,
        recorded_s=7300.0,
        gaps=2,
        detector="ready",
    )
    return view.BoxState(
        box_id="0417",
        site="7",
        version="0",
        utc_now=NOW,
        tq=TimeQuality.RTC,
        light=view.Light.RED,
        cameras=(camera,),
        link=view.LinkView(is_connected=False),
        board=view.BoardView(temperature_c=71.0, is_throttled=True, is_undervolted=True),
    )


def english(text):
    return set(re.findall(r"[A-Za-z]{2,}", text)) - NAMES


def test_the_whole_status_is_korean(state, capsys):
    status._show(state, "ko")
    shown = capsys.readouterr().out
    assert english(shown) == set()
    for word in ("이상", "연결 끊김", "안 됨", "2시간", "전압 부족", "전송 대기 0건", "내장 시계"):
        assert word in shown
    status._show(state, "en")
    shown = capsys.readouterr().out
    assert not re.search("[가-힣]", shown.replace("북문", ""))
    assert "RED" in shown
    assert "NO" in shown


def test_a_box_whose_agent_is_down_tells_it_in_korean(tmp_path, capsys):
    words = words_of("ko")
    (tmp_path / "cameras/gate").mkdir(parents=True)
    Index(tmp_path / "cameras/gate").close()
    health.show_health(health.of_files(tmp_path, words), words)
    assert english(capsys.readouterr().out) <= CODES


def test_events_are_korean(capsys):
    one = Incident(
        event_id="01",
        rule_id=None,
        detail=None,
        has_picture=False,
        kind="intrusion",
        camera_id="gate",
        started_at=NOW,
        ended_at=None,
        grade="assist",
        labels=("person",),
    )
    events._show("ko", [one], as_json=False, has_head=True)
    shown = capsys.readouterr().out
    assert english(shown) == set()
    for word in ("침입", "진행 중", "사람", "보조"):
        assert word in shown


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("status",), ("디스크", "세그먼트 0개", "삭제 기록", "오늘 기록")),
        (("gaps",), ("공백이 없습니다",)),
        (("locks",), ("잠금이 없습니다",)),
        (("prune", "--dry-run"), ("삭제 대상입니다",)),
        (("coverage", "--last-hours", "0.02"), ("분 녹화됨", "지금 남은 것")),
    ],
)
def test_what_is_told_of_the_buffer_is_korean(tmp_path, command, words):
    (tmp_path / "cameras/gate").mkdir(parents=True)
    Index(tmp_path / "cameras/gate").close()
    told = ["buffer", *command, "--data-dir", str(tmp_path)]
    done = CliRunner().invoke(cli, [*told, "--lang", "ko"])
    assert done.exit_code == 0, done.output
    shown = re.sub(r"(?m)^디스크 \S+", "디스크", done.output)  # its mount has a name of its own
    assert english(shown) - {"GiB", "MiB"} == set()
    for word in words:
        assert word in shown
    plain = CliRunner().invoke(cli, [*told, "--lang", "en"])
    assert not re.search("[가-힣]", plain.output)
