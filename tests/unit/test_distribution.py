"""The import names are ours alone: another package called `agent` would be loaded in our place."""

import importlib.metadata
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["agent", "hardware"])
def test_an_import_name_belongs_to_this_distribution_alone(name):
    owners = set(importlib.metadata.packages_distributions().get(name, []))
    assert owners <= {"poleside"}, f"`{name}` is also installed by {owners - {'poleside'}}"


@pytest.mark.parametrize("name", ["agent", "hardware"])
def test_what_is_tested_is_this_tree(name):
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert Path(spec.origin).parent == ROOT / name


def test_the_command_leads_to_the_click_group():
    scripts = importlib.metadata.entry_points(group="console_scripts", name="poleside")
    assert [script.value for script in scripts] == ["agent.local.cli.main:main"]
