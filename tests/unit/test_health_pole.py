"""A bell nobody can rely on is red; what the board tells of fan, battery and disk is a sentence."""

import re
from datetime import UTC, datetime

import pytest

from agent.contract.events import TimeQuality
from agent.health.catalogue import fault_of
from agent.health.catalogue.pole import POLE
from agent.health.fault import Severity
from agent.health.pole import (
    bell_test_faults,
    contact_faults,
    fan_faults,
    output_faults,
    supply_faults,
    watchdog_faults,
    wear_faults,
)
from agent.messages.pole import ContactState, PoleSignal
from hardware.interface import FanState, StorageState, Supply, SupplyKind, WatchdogState, Wear

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def signal(state, meaning="bell"):
    return PoleSignal(
        input_id="in-1",
        meaning=meaning,
        state=state,
        was=ContactState.IDLE,
        press_id="x",
        at=NOW,
        mono_s=1.0,
        tq=TimeQuality.NTP,
    )


@pytest.mark.parametrize("state", ContactState)
@pytest.mark.parametrize(("meaning", "severity"), [("bell", "red"), ("door", "yellow")])
def test_a_contact_is_at_fault_exactly_when_it_can_not_be_relied_on(state, meaning, severity):
    faults = list(contact_faults([signal(state, meaning)]))
    assert bool(faults) is (state not in {ContactState.IDLE, ContactState.ACTIVE})
    for fault in faults:
        assert fault.severity == severity
        assert "in-1" in fault.sentence_en
        assert "in-1" in fault.sentence_ko


def test_a_bell_that_failed_its_test_is_red():
    verdicts = {
        "a": (NOW, "well"),
        "b": (NOW, "silent"),
        "c": (NOW, "hangs"),
        "d": (NOW, "untested"),
    }
    faults = list(bell_test_faults(verdicts))
    assert [fault.code for fault in faults] == ["pole.bell_silent", "pole.bell_hangs"]
    assert {fault.severity for fault in faults} == {Severity.RED}


def test_an_output_that_is_lost_says_why():
    (fault,) = output_faults({"siren": "Line `x` is not there"})
    assert "siren" in fault.sentence_en
    assert "is not there" in fault.sentence_en


def codes(faults):
    return [fault.code for fault in faults]


def test_a_fan_is_at_fault_only_when_it_is_told_to_turn_and_counted_as_still():
    fans = (
        FanState("still", 0, 100),
        FanState("off", 0, 0),
        FanState("uncounted", None, 100),
        FanState("turns", 900, 100),
    )
    (fault,) = fan_faults(fans)
    assert "still" in fault.sentence_en


def test_life_on_the_battery_is_told_with_its_charge():
    supplies = (
        Supply("mains", SupplyKind.MAINS, is_online=False),
        Supply("ups", SupplyKind.UPS, charge_pct=61, is_discharging=True),
    )
    (fault,) = supply_faults(supplies)
    assert "61" in fault.sentence_en
    assert codes(supply_faults(supplies[:1])) == []  # off mains and no battery: nobody is alive


def test_a_reset_by_the_watchdog_is_told():
    assert codes(watchdog_faults([WatchdogState("w", caused_last_reset=True)]))
    assert codes(watchdog_faults([WatchdogState("w", caused_last_reset=None)])) == []


def test_a_watchdog_that_is_off_is_told_unless_another_is_on_or_nobody_knows():
    off = WatchdogState("iTCO_wdt", is_armed=False)
    (fault,) = watchdog_faults([off])
    assert (fault.code, "iTCO_wdt" in fault.sentence_en) == ("board.watchdog_off", True)
    assert codes(watchdog_faults([off, WatchdogState("softdog", is_armed=True)])) == []
    assert codes(watchdog_faults([WatchdogState("w", is_armed=None)])) == []
    assert codes(watchdog_faults([])) == []


def test_a_disk_near_its_end_says_so_and_an_unknown_one_nothing():
    assert codes(wear_faults(StorageState(device="sda", is_failing=True))) == ["disk.failing"]
    assert codes(wear_faults(StorageState(wear=Wear.URGENT))) == ["disk.spares_gone"]
    assert codes(wear_faults(StorageState(wear=Wear.WARNING))) == ["disk.spares_low"]
    assert codes(wear_faults(StorageState(wear=Wear.NORMAL))) == []
    assert codes(wear_faults(StorageState())) == []


def test_the_catalogue_of_the_pole_holds_what_its_checks_can_say_and_no_more():
    states = [state for state in ContactState if state.is_fault]
    said = [
        *contact_faults(
            [signal(state, meaning) for state in states for meaning in ("bell", "door")]
        ),
        *bell_test_faults({"a": (NOW, "silent"), "b": (NOW, "hangs")}),
        *output_faults({"siren": "gone"}),
        *fan_faults([FanState("fan", 0, 100)]),
        *supply_faults([Supply("ups", SupplyKind.UPS, is_discharging=True)]),
        *watchdog_faults([WatchdogState("w", caused_last_reset=True)]),
        *wear_faults(StorageState(is_failing=True)),
        *wear_faults(StorageState(wear=Wear.URGENT)),
        *wear_faults(StorageState(wear=Wear.WARNING)),
        *watchdog_faults([WatchdogState("w", is_armed=False)]),
        fault_of("board.sheds_for_heat", "detector", band="hot"),
    ]
    assert {fault.code for fault in said} == set(POLE)
    for fault in said:
        for text in (fault.sentence_en, fault.sentence_ko):
            assert "{" not in text
        assert re.search("[가-힣]", fault.sentence_ko + fault.hint_ko)
        assert not re.search("[가-힣]", fault.sentence_en + fault.hint_en)
