"""How the box is can be asked of the agent beside its page, which may want a login."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from agent.app.sight import Sight
from agent.core.clock import SystemClock
from agent.health import note
from agent.local.cli.health import health
from agent.messages.worker import RecordingStatus


def noted(folder, boot=""):
    (folder / "run").mkdir(exist_ok=True)

    async def once():
        notes = note.HealthNotes(
            SystemClock(), folder / "run", lambda: [], boot, lambda: {"link", "camera/gate"}
        )
        task = asyncio.create_task(notes.run())
        while notes.last_progress_mono_s is None:
            await SystemClock().sleep_s(0.01)
        task.cancel()

    asyncio.run(once())


def asked(folder):
    file = folder / "poleside.toml"
    file.write_text(f'data_dir = "{folder}"\n[page]\nlisten = "127.0.0.1:1"\n')
    return json.loads(CliRunner().invoke(health, ["--config", str(file), "--json"]).output)


def test_an_agent_whose_page_does_not_answer_tells_by_its_note(tmp_path):
    noted(tmp_path)
    well = {"light": "green", "is_running": True, "faults": []}
    assert asked(tmp_path) == well | {"works": ["camera/gate", "link"]}


@pytest.mark.parametrize("spoil", ["of another boot", "old", "torn", "none"])
def test_what_is_not_of_now_is_not_believed(tmp_path, spoil):
    noted(tmp_path, "another" if spoil == "of another boot" else "")
    file = tmp_path / "run/health.json"
    if spoil == "old":
        told = json.loads(file.read_text())
        file.write_text(json.dumps(told | {"mono_s": told["mono_s"] - 60}))
    elif spoil == "torn":
        file.write_text(file.read_text()[:20])
    elif spoil == "none":
        file.unlink()
    assert asked(tmp_path)["is_running"] is False


def test_a_camera_that_is_there_but_not_recorded_is_not_what_worked():
    told = {
        "gate": RecordingStatus(recording=True),
        "yard": RecordingStatus(recording=False),  # there, but its disk refuses
        "road": RecordingStatus(recording=False, mode="events"),
        "away": RecordingStatus(recording=False, mode="events"),
    }
    hub = SimpleNamespace(
        statuses=lambda: [SimpleNamespace(camera_id=one, recording=told[one]) for one in told]
    )
    sight = SimpleNamespace(hub=hub, online=lambda: {"gate", "yard", "road"})
    assert Sight.recorded(sight) == {"gate", "road"}
