"""What a board says of itself, as one report and as a list of answers a person can act on.

Four kinds of answer, never mixed up: well, a fault, not there, and unknown.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from agent.core.clock import RELEASE_FLOOR
from agent.core.patience import Patience
from agent.health import care, checks, pole
from agent.health.fault import Fault
from hardware.interface import (
    Accelerator,
    Board,
    BoardIdentity,
    ClockChipState,
    CsiSensor,
    FanState,
    PowerState,
    ProcessorState,
    Rail,
    StorageState,
    Supply,
    Temperature,
    WatchdogState,
)
from hardware.lines import LineInfo

# What the self-test says of one question to the board, where that is not one line of its name.
_SAID_OF = {"power": ("supply", "throttling"), "disk": ("disk", "disk wear")}


class Answer(StrEnum):
    """How one part answered. `absent`: the board has no such part, which is no fault."""

    WELL = "well"
    FAULT = "fault"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the self-test; `code` and `hint` with faults only."""

    part: str
    answer: Answer
    sentence: str
    code: str = ""
    hint: str = ""


class LineReport(Struct, frozen=True, kw_only=True):
    """One digital line."""

    chip: str
    offset: int
    name: str | None
    used_by: str | None


class BoardReport(Struct, frozen=True, kw_only=True):
    """Everything the board tells, as read; None is unknown."""

    identity: BoardIdentity
    temperatures: tuple[Temperature, ...]
    power: PowerState
    storage: StorageState
    clock_chip: ClockChipState
    fans: tuple[FanState, ...]
    watchdogs: tuple[WatchdogState, ...]
    supplies: tuple[Supply, ...]
    processors: ProcessorState
    accelerators: tuple[Accelerator, ...]
    csi_sensors: tuple[CsiSensor, ...]
    digital_lines: int
    silent: tuple[str, ...] = ()  # parts that did not answer in time: theirs is unknown above


def report_of(board: Board, folder: Path) -> BoardReport:
    """Read every part of `board` once; `folder` says which medium. A part that hangs is named."""
    patience = Patience(logs=False)
    ask = patience.ask
    lines: tuple[LineInfo, ...] = ask("digital lines", board.lines.list, ())
    return BoardReport(
        identity=board.identity,
        temperatures=ask("temperature", board.thermometers.read, ()),
        power=ask("power", board.power.read, PowerState()),
        storage=ask("disk", lambda: board.storage.read(folder), StorageState()),
        clock_chip=ask("clock chip", board.clock_chip.read, ClockChipState(is_present=False)),
        fans=ask("fan", board.fans.read, ()),
        watchdogs=ask("watchdog", board.watchdogs.read, ()),
        supplies=ask("mains and battery", board.supplies.read, ()),
        processors=ask("processor", board.processors.read, ProcessorState()),
        accelerators=ask("detector chip", board.accelerators.read, ()),
        csi_sensors=ask("ribbon camera", board.csi_sensors.read, ()),
        digital_lines=len(lines),
        silent=patience.silent,
    )


def chips_of(board: Board) -> tuple[Accelerator, ...]:
    """Return the chips for a detector; none when the bus does not answer."""
    found: tuple[Accelerator, ...] = Patience(logs=False).ask(
        "detector chip", board.accelerators.read, ()
    )
    return found


def lines_of(board: Board) -> list[LineReport]:
    """Return the digital lines of `board`; none when they do not answer."""
    return [
        LineReport(chip=line.chip, offset=line.offset, name=line.name, used_by=line.used_by)
        for line in _listed(board)
    ]


def _listed(board: Board) -> tuple[LineInfo, ...]:
    found: tuple[LineInfo, ...] = Patience(logs=False).ask("digital lines", board.lines.list, ())
    return found


def selftest_of(report: BoardReport) -> Iterator[Finding]:
    """Judge a report, part by part; of a part that hangs only that is said."""
    judged = (
        *_identity(report.identity),
        *_heat(report.temperatures),
        *_power(report.power),
        *_medium(report.storage),
        *_clock_chip(report.clock_chip),
        *_processors(report.processors),
        *_parts(report),
    )
    for part in report.silent:
        yield from _faulty(part, care.board_faults((part,), ()))
    silent = {finding for part in report.silent for finding in _SAID_OF.get(part, (part,))}
    yield from (finding for finding in judged if finding.part not in silent)


def _identity(identity: BoardIdentity) -> Iterator[Finding]:
    kind = identity.kind.value
    if identity.is_simulated:
        sentence = "This is a simulated board: nothing below is a real measurement but the disk."
        yield Finding(part="board", answer=Answer.UNKNOWN, sentence=sentence)
    elif identity.model is None:
        yield _unknown("board", f"Its model is unknown; treated as {kind}.")
    else:
        yield _well("board", f"{identity.model} ({kind}), serial {identity.serial or 'unknown'}.")


def _heat(readings: tuple[Temperature, ...]) -> Iterator[Finding]:
    known = [reading for reading in readings if reading.celsius is not None]
    if faults := list(checks.temperature_faults(readings, was_hot=False)):
        yield from _faulty("temperature", faults)
    elif not known:
        what = "No sensor answers" if readings else "The kernel shows no sensor"
        yield _unknown("temperature", f"{what}: how hot it is, nobody knows.")
    else:
        worst = max(known, key=lambda reading: reading.celsius or 0.0)
        yield _well("temperature", f"{worst.celsius:.0f} °C at {worst.name}, the hottest.")


def _power(power: PowerState) -> Iterator[Finding]:
    if faults := list(checks.voltage_faults(power)):
        yield from _faulty("supply", faults)
    elif power.under_voltage is None:
        rails = ", ".join(_rail_words(rail) for rail in power.rails)
        lines = f" Its lines: {rails}." if rails else ""
        yield _unknown("supply", f"This board can't tell whether its supply is good.{lines}")
    else:
        yield _well("supply", "The supply is good.")
    mode = f" Power mode: {power.mode}." if power.mode else ""
    if faults := list(checks.throttling_faults(power)):
        yield from _faulty("throttling", faults)
    elif power.throttled is None:
        sentence = f"This board can't tell whether its processor is held back.{mode}"
        yield _unknown("throttling", sentence)
    else:
        yield _well("throttling", f"The processor is not held back.{mode}")


def _rail_words(rail: Rail) -> str:
    volts = "? V" if rail.volts is None else f"{rail.volts:.2f} V"
    return f"{rail.name} {volts}" + ("" if rail.amps is None else f" {rail.amps:.2f} A")


def _medium(storage: StorageState) -> Iterator[Finding]:
    facts = checks.DiskFacts(free_bytes=None, min_free_bytes=0, storage=storage)
    found = list(checks.disk_faults(facts))
    if faults := [fault for fault in found if fault.code != "disk.worn"]:
        yield from _faulty("disk", faults)
    elif storage.filesystem is None:
        yield _unknown("disk", "Which medium holds the data can't be told.")
    else:
        name = storage.model or storage.device or "a medium without a name"
        yield _well("disk", f"{name}, {storage.filesystem}, writable.")
    worn = [fault for fault in found if fault.code == "disk.worn"]
    if faults := [*pole.wear_faults(storage), *worn]:
        yield from _faulty("disk wear", faults)
    elif storage.life_used_pct is None and storage.wear is None and storage.is_failing is None:
        yield _unknown("disk wear", "The medium does not tell how worn it is.")
    else:
        used = "unknown" if storage.life_used_pct is None else f"{storage.life_used_pct} %"
        yield _well("disk wear", f"Life used: {used}.")


def _clock_chip(chip: ClockChipState) -> Iterator[Finding]:
    if chip.is_present and chip.epoch_s is not None and chip.epoch_s < RELEASE_FLOOR.timestamp():
        sentence = f"{chip.name} has lost its time: it has no battery, or a flat one."
        yield _unknown("clock chip", f"{sentence} It helps only while the power stays.")
    elif chip.is_present:
        yield _well("clock chip", f"{chip.name or 'There is one'}: time goes on without power.")
    else:
        sentence = "No clock chip: after a power cut the time is unproven until the network tells."
        yield Finding(part="clock chip", answer=Answer.ABSENT, sentence=sentence)


def _processors(state: ProcessorState) -> Iterator[Finding]:
    clocks = {
        "cores": _of_most(state.cpu_mhz, state.cpu_max_mhz),
        "GPU": _of_most(state.gpu_mhz, state.gpu_max_mhz),
        "memory": _of_most(state.memory_mhz, None),
    }
    told = [f"{what} {clock}" for what, clock in clocks.items() if clock]
    if state.gpu_load_pct is not None:
        told.append(f"GPU {state.gpu_load_pct:g} % busy")
    if told:
        yield _well("processor", ", ".join(told) + ".")
    else:
        yield _unknown("processor", "The kernel tells neither its clocks nor a GPU's load.")


def _of_most(mhz: int | None, most_mhz: int | None) -> str:
    if mhz is None:
        return ""
    return f"{mhz} MHz" if most_mhz is None else f"{mhz} of {most_mhz} MHz"


def _parts(report: BoardReport) -> Iterator[Finding]:
    turning = [
        f"{fan.name} {'speed unknown' if fan.rpm is None else f'{fan.rpm} rpm'}"
        for fan in report.fans
    ]
    is_counted = any(fan.rpm is not None for fan in report.fans)
    yield from _part("fan", turning, pole.fan_faults(report.fans), is_known=is_counted)
    armed = [
        f"{w.name} {'armed' if w.is_armed else 'state unknown' if w.is_armed is None else 'off'}"
        for w in report.watchdogs
    ]
    is_told = any(watchdog.is_armed is not None for watchdog in report.watchdogs)
    yield from _part("watchdog", armed, pole.watchdog_faults(report.watchdogs), is_known=is_told)
    supplies = [f"{supply.name} ({supply.kind.value})" for supply in report.supplies]
    yield from _part("mains and battery", supplies, pole.supply_faults(report.supplies))
    yield from _part("detector chip", [chip.name for chip in report.accelerators], ())
    sensors = [f"{sensor.chip} at {sensor.address}" for sensor in report.csi_sensors]
    yield from _part("ribbon camera", sensors, ())
    if report.digital_lines:
        yield _well("digital lines", f"{report.digital_lines} lines.")
    else:
        sentence = "The kernel shows none, or this user may not read them (/dev/gpiochip*)."
        yield Finding(part="digital lines", answer=Answer.ABSENT, sentence=sentence)


def _part(
    part: str, words: list[str], faults: Iterable[Fault], *, is_known: bool = True
) -> Iterator[Finding]:
    found = list(faults)
    if found:
        yield from _faulty(part, found)
    elif words and not is_known:
        yield _unknown(part, ", ".join(words) + ".")
    elif words:
        yield _well(part, ", ".join(words) + ".")
    else:
        yield Finding(part=part, answer=Answer.ABSENT, sentence="The kernel shows none.")


def _faulty(part: str, faults: Iterable[Fault]) -> Iterator[Finding]:
    for fault in faults:
        yield Finding(
            part=part,
            answer=Answer.FAULT,
            sentence=fault.sentence_en,
            code=fault.code,
            hint=fault.hint_en,
        )


def _well(part: str, sentence: str) -> Finding:
    return Finding(part=part, answer=Answer.WELL, sentence=sentence)


def _unknown(part: str, sentence: str) -> Finding:
    return Finding(part=part, answer=Answer.UNKNOWN, sentence=sentence)
