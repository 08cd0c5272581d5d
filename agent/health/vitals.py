"""One cheap look at the machine: memory and CPU per process, load, disk, and what the board says.

Runs in the core every few seconds, in a thread (it reads some small files of /proc and /sys).
Memory is PSS, so that shared pages are counted once over all processes of the box.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil

from agent.contract.telemetry import BoardSample, PowerSample, ProcessSample, RailSample
from agent.core.clock import Clock
from agent.core.patience import Patience
from agent.health.losses import Losses, facts_told, told_by
from hardware.interface import (
    Board,
    ClockChipState,
    FanState,
    PowerState,
    ProcessorState,
    StorageState,
    Supply,
    Temperature,
    WatchdogState,
)

PSS_EVERY_S = 60.0  # the kernel walks all pages of a process for it: a ms or more


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """One process. None: it is gone, or may not be looked at. `cpu_pct` is of one core."""

    name: str
    pid: int
    pss_bytes: int | None = None
    cpu_s: float | None = None
    cpu_pct: float | None = None


@dataclass(frozen=True, slots=True)
class Vitals:
    """The machine at `mono_s`. Sizes in bytes; `cpu_pct` of all cores since the last look."""

    mono_s: float
    load_1m: float
    cpu_count: int
    cpu_pct: float | None
    memory_total_bytes: int
    memory_available_bytes: int
    disk_total_bytes: int | None
    disk_free_bytes: int | None
    disk_inodes: int | None
    disk_free_inodes: int | None
    processes: tuple[ProcessUse, ...]
    temperatures: tuple[Temperature, ...]
    power: PowerState
    storage: StorageState
    clock_chip: ClockChipState | None
    is_simulated: bool
    fans: tuple[FanState, ...] = ()
    supplies: tuple[Supply, ...] = ()
    watchdogs: tuple[WatchdogState, ...] = ()
    silent: tuple[str, ...] = ()  # parts of the board that do not answer
    lost_sensors: tuple[str, ...] = ()  # thermometers that spoke once and no longer do
    lost_parts: tuple[str, ...] = ()  # what else the board told once and no longer does
    processors: ProcessorState = field(default_factory=ProcessorState)

    @property
    def has_clock_chip(self) -> bool | None:
        """Whether a clock goes on without power."""
        return None if self.clock_chip is None else self.clock_chip.is_present

    def board_sample(self) -> BoardSample:
        """Return what the center is told of the board."""
        known = [reading.celsius for reading in self.temperatures if reading.celsius is not None]
        return BoardSample(
            temperature_c=round(max(known), 1) if known else None,
            throttled=self.power.throttled,
            undervoltage=self.power.under_voltage,
            cpu_pct=self.cpu_pct,
            memory_free_bytes=self.memory_available_bytes,
            disk_free_bytes=self.disk_free_bytes,
            uptime_s=round(self.mono_s, 1),
            simulated=self.is_simulated,
            fan_rpm=min((fan.rpm for fan in self.fans if fan.rpm is not None), default=None),
            on_battery=_on_battery(self.supplies),
            battery_pct=next(
                (s.charge_pct for s in self.supplies if s.charge_pct is not None), None
            ),
            disk_life_used_pct=self.storage.life_used_pct,
            disk_wear=self.storage.wear.value if self.storage.wear else None,
            disk_read_only=self.storage.is_read_only,
            disk_written_bytes=self.storage.written_bytes,
            watchdog_reset=_watchdog_reset(self.watchdogs),
            disk_failing=self.storage.is_failing,
            watchdog_armed=_watchdog_armed(self.watchdogs),
            clock_chip=self.has_clock_chip,
            power=_power_sample(self.power),
            silent=self.silent,
            cpu_mhz=self.processors.cpu_mhz,
            gpu_load_pct=self.processors.gpu_load_pct,
            gpu_mhz=self.processors.gpu_mhz,
            memory_mhz=self.processors.memory_mhz,
        )

    def process_samples(self, restarts: Mapping[str, int]) -> tuple[ProcessSample, ...]:
        """Return what the center is told of the processes; `restarts` by process name."""
        return tuple(
            ProcessSample(
                name=use.name,
                pss_bytes=use.pss_bytes,
                cpu_pct=use.cpu_pct,
                restarts_total=restarts.get(use.name, 0),
            )
            for use in self.processes
        )


class VitalsReader:
    """Takes looks, and remembers the last one's CPU times to tell shares."""

    def __init__(self, board: Board, data_dir: Path, clock: Clock) -> None:
        self._board, self._data_dir, self._clock = board, data_dir, clock
        self._last_cpu: dict[int, tuple[float, float]] = {}  # pid -> (monotonic s, CPU s)
        self._last_machine: tuple[float, float] | None = None  # (busy s, all s) over all cores
        self._known: dict[int, psutil.Process] = {}
        self._pss: dict[int, tuple[float, int | None]] = {}  # pid -> (monotonic s, bytes)
        self._patience = Patience()
        self._losses = Losses()
        self._clock_chip: ClockChipState | None = None

    def read(self, pids: Mapping[str, int]) -> Vitals:
        """Look once at the machine and at the processes `pids` (name -> pid)."""
        memory = psutil.virtual_memory()
        told = self._ask_board()
        disk = told.get("disk")
        temperatures: tuple[Temperature, ...] = told.get("thermometers", ())
        processes = tuple(self._process(name, pid) for name, pid in pids.items())
        for gone in self._known.keys() - set(pids.values()):
            del self._known[gone]
            self._last_cpu.pop(gone, None)
            self._pss.pop(gone, None)
        power: PowerState = told.get("power", PowerState())
        storage: StorageState = told.get("storage", StorageState())
        fans: tuple[FanState, ...] = told.get("fans", ())
        supplies: tuple[Supply, ...] = told.get("supplies", ())
        # While a chip is silent, what was known of it holds, but for the time it told.
        known = self._clock_chip and replace(self._clock_chip, epoch_s=None)
        chip = self._clock_chip = told.get("clock chip", known)
        processors: ProcessorState = told.get("processors", ProcessorState())
        watchdogs: tuple[WatchdogState, ...] = told.get("watchdogs", ())
        silent = self._patience.silent
        return Vitals(
            mono_s=self._clock.monotonic_s(),
            load_1m=psutil.getloadavg()[0],
            cpu_count=psutil.cpu_count() or 1,
            cpu_pct=self._machine_pct(),
            memory_total_bytes=memory.total,
            memory_available_bytes=memory.available,
            disk_total_bytes=disk[0] if disk else None,
            disk_free_bytes=disk[1] if disk else None,
            disk_inodes=disk[2] if disk and disk[2] else None,
            disk_free_inodes=disk[3] if disk and disk[2] else None,
            processes=processes,
            temperatures=temperatures,
            power=power,
            storage=storage,
            fans=fans,
            supplies=supplies,
            processors=processors,
            watchdogs=watchdogs,
            clock_chip=chip,
            is_simulated=self._board.identity.is_simulated,
            silent=silent,
            lost_sensors=self._losses.of("thermometers", told_by(temperatures), silent),
            lost_parts=tuple(
                name
                for part, told in facts_told(power, storage, fans, supplies, chip).items()
                for name in self._losses.of(part, told, silent)
            ),
        )

    def _storage(self) -> StorageState:
        return self._board.storage.read(self._data_dir.resolve())

    def _ask_board(self) -> dict[str, Any]:
        """Return what the board's parts tell, by name; one that hangs or fails is left out."""
        board = self._board
        return self._patience.ask_all(
            {
                "disk": self._disk,
                "thermometers": board.thermometers.read,
                "power": board.power.read,
                "storage": self._storage,
                "fans": board.fans.read,
                "supplies": board.supplies.read,
                "clock chip": board.clock_chip.read,
                "processors": board.processors.read,
                "watchdogs": board.watchdogs.read,
            }
        )

    def _disk(self) -> tuple[int, int, int, int] | None:
        try:
            facts = os.statvfs(self._data_dir)
        except OSError:
            return None
        total, free = facts.f_blocks * facts.f_frsize, facts.f_bavail * facts.f_frsize
        return total, free, facts.f_files, facts.f_favail

    def _process(self, name: str, pid: int) -> ProcessUse:
        try:
            process = self._known.get(pid) or psutil.Process(pid)
            times = process.cpu_times()
        except psutil.Error:
            return ProcessUse(name, pid)
        self._known[pid] = process
        cpu_s: float = times.user + times.system
        return ProcessUse(name, pid, self._pss_of(process), cpu_s, self._share_pct(pid, cpu_s))

    def _pss_of(self, process: psutil.Process) -> int | None:
        now_s = self._clock.monotonic_s()
        measured_s, pss = self._pss.get(process.pid, (float("-inf"), None))
        if now_s - measured_s >= PSS_EVERY_S:
            pss = _pss_bytes(process)
            self._pss[process.pid] = now_s, pss
        return pss

    def _share_pct(self, pid: int, cpu_s: float) -> float | None:
        now_s = self._clock.monotonic_s()
        before = self._last_cpu.get(pid)
        self._last_cpu[pid] = (now_s, cpu_s)
        if before is None or now_s <= before[0] or cpu_s < before[1]:
            return None
        return round(100 * (cpu_s - before[1]) / (now_s - before[0]), 1)

    def _machine_pct(self) -> float | None:
        times = psutil.cpu_times()
        all_s = sum(times) - times.guest - times.guest_nice  # user and nice hold the guests already
        busy_s = all_s - times.idle - times.iowait
        before, self._last_machine = self._last_machine, (busy_s, all_s)
        if before is None or all_s <= before[1]:
            return None
        share: float = max(0.0, busy_s - before[0]) / (all_s - before[1])
        return round(100 * share, 1)


def _on_battery(supplies: tuple[Supply, ...]) -> bool | None:
    told = [s.is_discharging for s in supplies if s.is_discharging is not None]
    return any(told) if told else None


def _watchdog_reset(watchdogs: tuple[WatchdogState, ...]) -> bool | None:
    told = [w.caused_last_reset for w in watchdogs if w.caused_last_reset is not None]
    return any(told) if told else None


def _watchdog_armed(watchdogs: tuple[WatchdogState, ...]) -> bool | None:
    told = [w.is_armed for w in watchdogs if w.is_armed is not None]
    return any(told) if told else None


def _power_sample(power: PowerState) -> PowerSample | None:
    """Return what a board says of its supply beyond the two flags; None when it says nothing."""
    sample = PowerSample(
        frequency_capped=power.frequency_capped,
        soft_limited=power.soft_limited,
        throttled_before=power.throttled_before,
        undervoltage_before=power.under_voltage_before,
        mode=power.mode or "",
        rails={
            rail.name: RailSample(volts=rail.volts, amps=rail.amps, over_current=rail.over_current)
            for rail in power.rails
        },
    )
    return None if sample == PowerSample() else sample


def _pss_bytes(process: psutil.Process) -> int | None:
    """Return the proportional memory, None when it may not be read (another user's process)."""
    try:
        pss: int = process.memory_full_info().pss
    except psutil.Error:
        return None
    return pss or None
