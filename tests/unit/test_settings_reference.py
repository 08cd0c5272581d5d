"""SETTINGS.md is of this very version: each key, its values, what a change restarts."""

from pathlib import Path

import msgspec
import pytest

from agent.local.cli.config_reference import reference_lines, reload_class
from agent.settings.model import CameraSettings, Settings

COMMITTED = Path(__file__).parents[2] / "SETTINGS.md"


def test_the_committed_reference_is_not_stale():
    made = "\n".join(reference_lines()) + "\n"
    assert COMMITTED.read_text("utf-8") == made, "run `poleside config reference > SETTINGS.md`"


@pytest.mark.parametrize("section", [one.name for one in msgspec.structs.fields(Settings)])
def test_every_section_says_what_a_change_of_it_restarts(section):
    known = {"file only", "file, page", "live", "camera", "detect", "core"}
    assert set(reload_class(section).split(", ")) <= known or reload_class(section) in known


def test_every_key_of_a_camera_has_a_line():
    text = COMMITTED.read_text("utf-8")
    for one in msgspec.structs.fields(CameraSettings):
        assert f"| `{one.name}` |" in text
