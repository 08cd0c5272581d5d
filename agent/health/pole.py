"""From what hangs on the pole to faults: a bell nobody can rely on is red, the rest is yellow."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from agent.health.catalogue import fault_of
from agent.health.fault import Fault
from agent.messages.pole import ContactState, PoleSignal
from hardware.interface import FanState, StorageState, Supply, WatchdogState, Wear

FAN_SHOULD_TURN_PCT = 30
_CODES = {
    ContactState.UNKNOWN: "lost",
    ContactState.STUCK: "stuck",
    ContactState.BROKEN: "wiring",
    ContactState.CHATTERING: "chatters",
}


def contact_faults(signals: Iterable[PoleSignal]) -> Iterator[Fault]:
    """Tell which contacts can't be relied on. Active and idle ones are well."""
    for signal in signals:
        if not signal.state.is_fault:
            continue
        what = "bell" if signal.meaning == "bell" else "contact"
        yield fault_of(
            f"pole.{what}_{_CODES[signal.state]}",
            f"contact/{signal.input_id}",
            signal.at,
            contact=signal.input_id,
        )


def bell_test_faults(verdicts: Mapping[str, tuple[datetime, str]]) -> Iterator[Fault]:
    """Tell which bells failed their daily test; `verdicts`: (when, verdict) by input."""
    for input_id, (at, verdict) in verdicts.items():
        if verdict in {"silent", "hangs"}:
            yield fault_of(f"pole.bell_{verdict}", f"contact/{input_id}", at, contact=input_id)


def output_faults(lost: Mapping[str, str]) -> Iterator[Fault]:
    """Tell which outputs can't be switched; `lost`: the reason by output."""
    for output_id, reason in lost.items():
        yield fault_of("pole.output_lost", f"output/{output_id}", output=output_id, reason=reason)


def fan_faults(fans: Sequence[FanState]) -> Iterator[Fault]:
    """Tell of fans that are told to turn and don't. A fan nobody counts is unknown: no fault."""
    for fan in fans:
        is_told = fan.duty_pct is not None and fan.duty_pct >= FAN_SHOULD_TURN_PCT
        if is_told and fan.rpm == 0:
            yield fault_of("board.fan_stopped", "board", fan=fan.name)


def supply_faults(supplies: Sequence[Supply]) -> Iterator[Fault]:
    """Tell that the box lives on its battery, and how long that may last."""
    battery = next((s for s in supplies if s.is_discharging), None)
    if battery is not None:
        charge = "?" if battery.charge_pct is None else battery.charge_pct
        yield fault_of("board.on_battery", "board", supply=battery.name, charge=charge)


def watchdog_faults(watchdogs: Sequence[WatchdogState]) -> Iterator[Fault]:
    """Tell that the hardware watchdog reset the box last time, or that none would do it now.

    One that is armed is enough; where the kernel does not tell, nothing is known.
    """
    if any(watchdog.caused_last_reset for watchdog in watchdogs):
        yield fault_of("board.watchdog_reset", "board")
    if watchdogs and all(watchdog.is_armed is False for watchdog in watchdogs):
        names = ", ".join(watchdog.name for watchdog in watchdogs)
        yield fault_of("board.watchdog_off", "board", watchdog=names)


def wear_faults(storage: StorageState) -> Iterator[Fault]:
    """Tell that the medium itself says that it is failing or near its end."""
    if storage.is_failing:
        yield fault_of("disk.failing", "disk", disk=storage.device or "?")
    elif storage.wear is Wear.URGENT:
        yield fault_of("disk.spares_gone", "disk", disk=storage.device or "?")
    elif storage.wear is Wear.WARNING:
        yield fault_of("disk.spares_low", "disk", disk=storage.device or "?")
