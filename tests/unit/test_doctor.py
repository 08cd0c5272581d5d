"""The doctor names what is wrong and what to do, in words and for programs, and leaks nothing."""

import json
import os
import socket

import pytest
from click.testing import CliRunner

from agent.detect.manifest import SHIPPED_MODEL, load_manifest
from agent.local.cli import diagnosis
from agent.local.cli.diagnosis import Level
from agent.local.cli.doctor import doctor
from agent.settings.model import DetectorSettings, Settings

CANARY = "c4nary-S3cret"


@pytest.fixture
def listening():
    """A port where something accepts connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def silent():
    """A port where nothing listens: bound, never listening, so nobody else can take it."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture
def config(tmp_path):
    def write(camera_port, broker_port, data_dir=None):
        path = tmp_path / "poleside.toml"
        path.write_text(
            f'data_dir = "{data_dir or tmp_path / "data"}"\n'
            'board = { kind = "simulated" }\n'
            f'broker = {{ urls = ["mqtt://127.0.0.1:{broker_port}"], password = "{CANARY}" }}\n'
            '[[cameras]]\ncamera_id = "gate"\n'
            f'main_url = "rtsp://admin:{CANARY}@127.0.0.1:{camera_port}/1"\n'
        )
        return str(path)

    return write


def examine(*arguments):
    done = CliRunner().invoke(doctor, [*arguments, "--json"])
    report = json.loads(done.output)
    return done.exit_code, report, {line["subject"]: line for line in report["findings"]}


def test_a_sound_machine_passes(config, listening):
    code, report, lines = examine("--config", config(listening, listening))
    assert (code, report["ok"]) == (0, True), report
    assert lines["broker"]["level"] == lines["camera gate"]["level"] == "OK"
    assert {"python", "packages", "av", "numpy", "model", "board", "disk", "clock"} <= set(lines)


def test_what_does_not_answer_fails_with_a_code_and_a_hint(config, listening, silent):
    code, report, lines = examine("--config", config(silent, listening))
    assert (code, report["ok"]) == (1, False)
    assert lines["camera gate"]["level"] == "FAIL"
    assert lines["camera gate"]["code"] == "camera.refused"
    assert lines["camera gate"]["hint"]
    assert lines["broker"]["level"] == "OK"


def test_no_password_is_printed(config, silent):
    path = config(silent, silent)
    for arguments in (["--config", path], ["--config", path, "--json"]):
        assert CANARY not in CliRunner().invoke(doctor, arguments).output


def test_a_bad_settings_file_is_named_and_the_rest_still_checked(tmp_path):
    path = tmp_path / "poleside.toml"
    path.write_text('[broker]\nkeepalive_s = "soon"\n')
    code, _, lines = examine("--config", str(path))
    assert code == 1
    assert lines["settings"]["code"] == "settings.invalid"
    assert "model" in lines


def test_a_data_folder_that_can_not_be_written_fails(tmp_path):
    blocker = "/proc/poleside" if os.geteuid() == 0 else "/root/poleside"
    (finding,) = diagnosis.check_data_dir(Settings(data_dir=blocker))
    assert (finding.level, finding.code) == (Level.FAIL, "storage.not_writable")
    (finding,) = diagnosis.check_data_dir(Settings(data_dir=str(tmp_path / "a" / "b")))
    assert finding.level is Level.OK
    assert list(tmp_path.iterdir()) == []  # looking changes nothing


def test_an_exchanged_model_fails(tmp_path):
    (tmp_path / "manifest.json").write_bytes((SHIPPED_MODEL / "manifest.json").read_bytes())
    (tmp_path / load_manifest(tmp_path).file).write_bytes(b"another model")
    settings = Settings(detector=DetectorSettings(model=str(tmp_path)))
    (finding,) = diagnosis.check_model(settings)
    assert (finding.level, finding.code) == (Level.FAIL, "detector.model_hash")


def test_the_plain_report_says_what_to_do(config, silent):
    done = CliRunner().invoke(doctor, ["--config", config(silent, silent)])
    assert done.exit_code == 1
    assert "FAIL  broker: " in done.output
    assert "[broker.refused]" in done.output
    assert "→" in done.output


def test_help_teaches_by_example():
    output = CliRunner().invoke(doctor, ["--help"]).output
    assert "poleside doctor --config" in output
    assert "Exit code" in output
