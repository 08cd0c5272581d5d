"""A planted secret never comes out of redaction or of the logs, whatever it is wrapped in."""

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import pytest

from agent.core import log
from agent.core.redact import HIDDEN, redact, redact_text
from agent.settings.model import BrokerSettings, CameraSettings, Settings

CANARY = "c4nary-S3cret"


@dataclass
class Login:
    user: str
    password: str


@pytest.mark.parametrize(
    "text",
    [
        f"rtsp://admin:{CANARY}@10.0.0.5:554/stream1",
        f"can't open 'rtsp://admin:{CANARY}@cam/1': timed out",
        f"rtsp://admin:at@{CANARY}@10.0.0.5/1",
        f"rtsp://admin:sl/ash{CANARY}@10.0.0.5/1",
        f"rtsp://admin:quo'te\"{CANARY}@10.0.0.5/1",
        f"rtsp://admin:less<than>{CANARY}@10.0.0.5/1",
        f"mqtts://box:{CANARY}@broker:8883",
        f"http://cam/cgi?user=admin&pwd={CANARY}&channel=1",
        f"https://store/clip.mp4?X-Amz-Signature={CANARY}&part=1",
        f"https://relay/whip?token={CANARY}",
        f"login failed: password={CANARY}",
        f"pass: {CANARY}",
        f"camPass={CANARY}",
        f'{{"camera": "gate", "password": "{CANARY}"}}',
        f'{{"camera":"gate","passwords":["x","{CANARY}"]}}',
        f'{{"password":"a\\"{CANARY}"}}',
        f'"{{\\"password\\": \\"{CANARY}\\"}}"',
        f"password = '{CANARY}'",
        f"password='it\\'s {CANARY}'",
        f"Authorization: Basic {CANARY}",
        f"authorization: Bearer {CANARY}",
        f'Digest username="admin", realm="cam", response="{CANARY}"',
        f'<wsse:Password Type="http://docs/x#PasswordDigest">{CANARY}</wsse:Password>',
        f"<tt:UserPassword>{CANARY}</tt:UserPassword>",
        repr(CameraSettings(camera_id="gate", main_url="rtsp://c/1", password=CANARY)),
        repr(Login("admin", CANARY)),
    ],
)
def test_free_text_loses_its_secrets(text):
    assert CANARY not in redact_text(text)
    assert HIDDEN in redact_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "segment closed",
        "rtsp://10.0.0.5:554/stream1?channel=1&subtype=0",
        "3 frames passed, compass 12.5 deg, bypass=on",
        "카메라 'gate': 영상이 오지 않습니다.",
        "mail admin@example.org",
    ],
)
def test_harmless_text_stays_as_it_is(text):
    assert redact_text(text) == text


def test_the_host_stays_readable_for_the_technician():
    assert redact_text(f"rtsp://admin:{CANARY}@10.0.0.5:554/1") == "rtsp://***@10.0.0.5:554/1"


@pytest.mark.parametrize(
    "value",
    [
        {"camera": {"password": CANARY}},
        {"api_key": CANARY},
        {"tokens": [CANARY]},
        {"userPass": CANARY},
        {f"rtsp://a:{CANARY}@h/": 1},
        [f"rtsp://a:{CANARY}@h/", (f"password={CANARY}",)],
        {f"rtsp://a:{CANARY}@h/"},
        CANARY.encode(),
        Login("admin", CANARY),
        {"why": ValueError(f"password={CANARY}")},
        Settings(
            cameras=(
                CameraSettings(camera_id="gate", main_url=f"rtsp://a:{CANARY}@h/", password=CANARY),
            ),
            broker=BrokerSettings(password=CANARY, urls=(f"mqtt://u:{CANARY}@b:1883",)),
        ),
    ],
)
def test_structures_lose_their_secrets(value):
    assert CANARY not in json.dumps(redact(value))


def test_a_circular_structure_ends():
    value: dict[str, object] = {"name": "gate"}
    value["self"] = value
    assert "…" in json.dumps(redact(value), ensure_ascii=False)


def test_plain_values_keep_their_type():
    at = datetime(2026, 11, 22, tzinfo=UTC)
    value = {"n": 3, "f": 0.5, "ok": True, "none": None, "at": at, "password": None}
    assert redact(value) == value


@pytest.fixture
def logs():
    """Configure logging for real, and hand back what reached stderr; undo it afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_a_settings_object_in_a_log_line_leaks_nothing(capsysbinary, logs):
    log.configure("core")
    settings = CameraSettings(camera_id="gate", main_url="rtsp://c/1", password=CANARY)
    log.get("cameras").info("camera added", camera=settings, raw=CANARY.encode())
    try:
        int(f"no answer from rtsp://admin:{CANARY}@c/1")
    except ValueError:
        log.get("cameras").exception("camera lost")
    logging.getLogger("zeep").error("sent %s", f"<wsse:Password>{CANARY}</wsse:Password>")

    written = capsysbinary.readouterr().err
    assert CANARY.encode() not in written
    lines = [msgspec.json.decode(line) for line in written.splitlines()]
    assert [line["event"] for line in lines[:2]] == ["camera added", "camera lost"]
    assert lines[0]["camera"]["camera_id"] == "gate"
    assert all(line["process"] == "core" and line["at"].endswith("Z") for line in lines)


@pytest.mark.parametrize("value", ["\udcff", 2**80, {("a", 1): {2}}, object(), float("nan")])
def test_a_strange_value_never_breaks_the_one_who_logs_it(value, capsysbinary, logs):
    log.configure("core")
    log.get("buffer").warning("strange", value=value)
    assert json.loads(capsysbinary.readouterr().err)["event"] == "strange"
