"""A box reboots itself only when nothing progressed for long, so often a day, and says why."""

import pytest

from agent.app.last_resort import LastResort, reboots_of
from agent.app.reboot_note import RebootNote
from agent.local.cli.run import with_last_resort
from agent.settings.load import validate
from tests.fake_clock import FakeClock

AFTER_S = 1800.0


class Machine:
    """One machine: counts reboots, keeps its folders over restarts of the agent."""

    def __init__(self, folder):
        self.run, self.data, self.clock, self.reboots = folder / "run", folder / "d", FakeClock(), 0
        self.run.mkdir()
        self.data.mkdir()

    def agent(self, after_s=AFTER_S):
        return LastResort(
            self.run,
            self.data,
            "boot-a",
            self.clock,
            after_s=after_s,
            per_day=2,
            reboot=self._reboot,
        )

    def live(self, agent, seconds, *, is_well):
        for _ in range(int(seconds / 10)):
            self.clock.pass_s(10.0)
            agent.look(is_well=is_well)

    def _reboot(self):
        self.reboots += 1


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_no_progress_for_long_reboots_once_and_keeps_the_reason(machine):
    agent = machine.agent()
    machine.live(agent, 4000, is_well=True)
    machine.live(agent, AFTER_S - 20, is_well=False)
    assert machine.reboots == 0
    machine.live(agent, 60, is_well=False)
    assert machine.reboots == 1
    assert "no progress" in reboots_of(machine.data)[0].reason


def test_restarts_of_a_hanging_agent_do_not_start_the_count_anew(machine):
    for _ in range(40):  # systemd ends each after a minute
        machine.live(machine.agent(), 60, is_well=False)
    assert machine.reboots > 0


def test_a_box_that_progresses_now_and_then_is_left_alone(machine):
    agent = machine.agent()
    for _ in range(20):
        machine.live(agent, AFTER_S / 2, is_well=False)
        machine.live(agent, 10, is_well=True)
    assert machine.reboots == 0


def test_reboots_are_bounded_per_day(machine):
    agent = machine.agent()
    machine.live(agent, 20 * 3600, is_well=False)
    assert machine.reboots == 2
    machine.live(agent, 24 * 3600, is_well=False)
    assert machine.reboots == 4


def test_without_a_place_for_the_count_there_is_no_reboot(machine):
    machine.data.rmdir()
    machine.live(machine.agent(), 3 * AFTER_S, is_well=False)
    assert machine.reboots == 0


def test_it_is_off_unless_the_settings_say_otherwise(machine):
    machine.live(machine.agent(after_s=0.0), 20 * 3600, is_well=False)
    assert machine.reboots == 0


@pytest.mark.parametrize(
    ("settings", "asked", "found"),
    [
        ({}, 1800.0, 1800.0),
        ({"board": {"kind": "simulated"}}, 1800.0, 1800.0),
        ({"board": {"reboot_after_s": 0.0}}, 1800.0, 0.0),
        ({"board": {"reboot_after_s": 600.0}}, 1800.0, 600.0),
        ({}, None, 0.0),
    ],
)
def test_the_appliance_switches_it_on_and_the_settings_have_the_last_word(settings, asked, found):
    assert validate(with_last_resort(settings, asked)).board.reboot_after_s == found


def test_a_stop_on_purpose_does_not_count(machine):
    agent = machine.agent()
    machine.live(agent, 60, is_well=True)
    agent.forget()
    machine.clock.pass_s(5 * AFTER_S)
    machine.live(machine.agent(), 60, is_well=False)
    assert machine.reboots == 0


def test_the_next_boot_tells_it_with_its_reason(machine):
    machine.live(machine.agent(), AFTER_S + 60, is_well=False)
    same = RebootNote(machine.data, "boot-a", lambda *_: False, machine.clock)
    assert list(same.faults()) == []
    machine.clock.mono_s = 30.0  # the machine has started anew
    note = RebootNote(machine.data, "boot-b", lambda *_: False, machine.clock)
    (fault,) = note.faults()
    assert (fault.code, fault.severity) == ("board.rebooted", "red")
    assert "no progress" in fault.sentence_en
