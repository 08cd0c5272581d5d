"""A relay is put back into its safe state, whatever the camera answers when it is asked to."""

import threading

import pytest

from agent.cameras.port import CameraUnreachable
from agent.cameras.relay_guard import REST_S, RelayGuard, RelayRule
from agent.core.clock import SystemClock
from agent.core.errors import CommandError
from tests.fake_clock import FakeClock

PATIENCE_S = 30.0


class _Relay:
    """Fails as told, each time it is to be made safe, then obeys."""

    def __init__(self, *failures: Exception) -> None:
        self.failures, self.is_on = list(failures), False
        self.is_safe_again = threading.Event()

    def switch(self, token, is_on):
        if not is_on and self.failures:
            raise self.failures.pop(0)
        self.is_on = is_on
        if not is_on:
            self.is_safe_again.set()


def _guard(relay):
    return RelayGuard((RelayRule("siren", 600.0),), relay.switch, SystemClock())


def test_a_failed_release_is_tried_again_at_once_and_not_at_the_old_end():
    relay = _Relay(CameraUnreachable("cut"))
    guard = _guard(relay)
    guard.pulse("siren", 600.0)
    with pytest.raises(CameraUnreachable):
        guard.release("siren")
    assert relay.is_safe_again.wait(PATIENCE_S)
    assert not relay.is_on
    guard.close()


def test_an_answer_that_nobody_thought_of_does_not_leave_it_on_for_ever():
    relay = _Relay(IndexError("an odd answer"))
    guard = _guard(relay)
    guard.pulse("siren", 0.01)
    assert relay.is_safe_again.wait(PATIENCE_S)
    assert not relay.is_on
    guard.close()


def test_all_are_made_safe_though_one_answers_oddly():
    relay = _Relay(IndexError("an odd answer"))
    rules = RelayRule("siren", 600.0), RelayRule("lamp", 600.0)
    RelayGuard(rules, relay.switch, SystemClock()).make_safe()
    assert relay.is_safe_again.is_set()


def test_one_that_is_taken_off_the_list_while_it_is_on_is_tried_until_it_is_safe(monkeypatch):
    monkeypatch.setattr("agent.cameras.relay_guard._AGAIN_S", 0.01)
    relay = _Relay(*[CameraUnreachable("cut")] * 4)
    guard = _guard(relay)
    guard.pulse("siren", 600.0)
    guard.use(())
    assert relay.is_safe_again.wait(PATIENCE_S)
    assert not relay.is_on
    with pytest.raises(CommandError):
        guard.pulse("siren", 1.0)
    guard.close()


def test_one_that_comes_back_to_the_list_meanwhile_keeps_to_its_new_rule():
    relay = _Relay(*[CameraUnreachable("cut")] * 3)
    guard = _guard(relay)
    guard.pulse("siren", 600.0)
    guard.use(())
    guard.use((RelayRule("siren", 600.0),))
    assert relay.is_safe_again.wait(PATIENCE_S)
    guard.close()


def test_pulses_one_after_another_share_the_time_until_the_relay_has_rested():
    relay, clock = _Relay(), FakeClock()
    guard = RelayGuard((RelayRule("siren", 30.0),), relay.switch, clock)
    assert guard.pulse("siren", 20.0) == 20.0
    clock.pass_s(15.0)
    assert guard.pulse("siren", 30.0) == 15.0
    clock.pass_s(10.0)
    guard.release("siren")
    clock.pass_s(REST_S - 1.0)
    assert guard.pulse("siren", 30.0) == 5.0
    clock.pass_s(5.0)
    guard.release("siren")
    with pytest.raises(CommandError) as refusal:
        guard.pulse("siren", 1.0)
    assert refusal.value.code == "relay.resting"
    assert not relay.is_on
    clock.pass_s(REST_S)
    assert guard.pulse("siren", 30.0) == 30.0
    guard.close()
