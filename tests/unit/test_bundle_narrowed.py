"""A bundle for who sees some cameras alone names no other."""

from dataclasses import dataclass
from typing import Any

from agent.core.clock import SystemClock
from agent.local.cli import bundle_parts

STATE = {
    "cameras": [{"camera_id": "gate"}, {"camera_id": "yard"}],
    "faults": [{"code": "disk.full"}, {"code": "camera.lost", "camera_id": "yard"}],
    "processes": [{"name": "core"}, {"name": "camera-gate"}, {"name": "camera-yard"}],
}


@dataclass
class AnsweringBox:
    answer: Any

    def ask(self, _question, _kind):
        return dict(self.answer)


def test_the_state_names_his_cameras_alone():
    box = AnsweringBox(STATE)
    mine = bundle_parts.Sources(box, SystemClock(), frozenset({"gate"}))
    assert "yard" not in repr(bundle_parts.state(mine))
    assert "camera-gate" in repr(bundle_parts.state(mine))
    assert bundle_parts.state(bundle_parts.Sources(box, SystemClock())) == STATE
