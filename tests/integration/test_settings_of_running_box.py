"""A running box's settings: changed at its terminal, and a mistake in its file at a start."""

import json

import pytest
from click.testing import CliRunner

from agent.core.errors import PolesideError
from agent.local.cli.config import config
from agent.settings.load import read_local
from tests.box_process import HOST, BoxProcess, faults_in

SETTINGS = {"broker": {"urls": [f"mqtt://{HOST}:1"]}, "site": "tb-001"}
OTHER_WAY = f'[broker]\nurls = ["mqtt://{HOST}:2"]\n'


def say(box, word, *words, patch=None):
    arguments = [word, "--data-dir", str(box.data_dir), *words]
    return CliRunner().invoke(config, arguments, input=patch, catch_exceptions=False)


def told(box, *words, **more):
    done = say(box, *words, "--json", **more)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_terminal_changes_and_confirms_and_a_mistake_in_the_file_does_not_stop_it(tmp_path):
    with BoxProcess(tmp_path, SETTINGS) as box:
        box.until(lambda _: True, 60)
        with pytest.raises(PolesideError, match="segment_s"):
            say(box, "set", "-", patch="[buffer]\nsegment_s = 0\n")
        with pytest.raises(PolesideError, match="Nothing waits"):
            say(box, "confirm")
        changed = told(box, "set", "-", patch=OTHER_WAY)
        assert changed == {"changed": ["broker"], "needs_confirm": True}
        assert told(box, "confirm") == {"confirmed": True}
        assert read_local(box.data_dir)["broker"]["urls"] == [f"mqtt://{HOST}:2"]
    with BoxProcess(tmp_path, SETTINGS | {"site": "Down Town"}) as box:
        left_out = ("settings.left_out", None)
        state = box.until(lambda state: left_out in faults_in(state), 60)
        assert "site" in faults_in(state)[left_out]["sentence_en"]
        assert state["site"] == "tb-001"
        checked = CliRunner().invoke(config, ["check", str(box.settings_file)])
        assert checked.exit_code == 1
