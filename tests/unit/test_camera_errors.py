"""Camera errors are told apart by code, advise a person, and never show a password."""

import pytest

from agent.cameras import port
from agent.core.errors import CameraError

_KINDS = [
    kind
    for kind in vars(port).values()
    if isinstance(kind, type)
    and issubclass(kind, port.CameraFailure)
    and kind is not port.CameraFailure
]


@pytest.mark.parametrize("kind", _KINDS)
def test_every_kind_has_its_code_and_an_advice(kind):
    error = kind("what happened")
    assert isinstance(error, CameraError)
    assert error.code.startswith("camera.")
    assert error.hint


def test_no_two_kinds_share_a_code():
    assert len({kind.camera_code for kind in _KINDS}) == len(_KINDS) == 10


def test_a_login_shown_hides_its_password():
    assert "hunter2" not in f"{port.Login('admin', 'hunter2')!r} {port.Login('admin', 'hunter2')}"
