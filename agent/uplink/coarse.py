"""Telemetry with the digits somebody reads: the others are most of what a packed sample weighs."""

from datetime import datetime

from msgspec.structs import replace

from agent.contract.telemetry import (
    BoardSample,
    CameraSample,
    FaultSample,
    ProcessSample,
    Telemetry,
)

_MB = -6


def coarse(sample: Telemetry) -> Telemetry:
    """Return the same with times to a second, memory and disks to a MB, clocks to 100 MHz."""
    return replace(
        sample,
        t=_second(sample.t),
        mono=round(sample.mono, 1),
        state=sample.state and replace(sample.state, t=_second(sample.state.t)),
        cameras=tuple(_camera(camera) for camera in sample.cameras),
        board=sample.board and _board(sample.board),
        processes=tuple(_process(process) for process in sample.processes),
        faults=tuple(_fault(fault) for fault in sample.faults),
        detector_ms=_tenth(sample.detector_ms),
    )


def _camera(camera: CameraSample) -> CameraSample:
    return replace(
        camera,
        since=_second(camera.since),
        recorded_until=_second(camera.recorded_until),
        main_fps=_tenth(camera.main_fps),
        sub_fps=_tenth(camera.sub_fps),
        detect_fps=_tenth(camera.detect_fps),
    )


def _board(board: BoardSample) -> BoardSample:
    return replace(
        board,
        temperature_c=_tenth(board.temperature_c),
        cpu_pct=_tenth(board.cpu_pct),
        uptime_s=None if board.uptime_s is None else round(board.uptime_s),
        memory_free_bytes=_bytes(board.memory_free_bytes, _MB),
        disk_free_bytes=_bytes(board.disk_free_bytes, _MB),
        disk_written_bytes=_bytes(board.disk_written_bytes, _MB),
        cpu_mhz=None if board.cpu_mhz is None else round(board.cpu_mhz, -2),
        gpu_load_pct=None if board.gpu_load_pct is None else round(board.gpu_load_pct),
    )


def _process(process: ProcessSample) -> ProcessSample:
    pss_bytes = _bytes(process.pss_bytes, _MB)
    return replace(process, pss_bytes=pss_bytes, cpu_pct=_tenth(process.cpu_pct))


def _fault(fault: FaultSample) -> FaultSample:
    return replace(fault, since=_second(fault.since))


def _second(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(microsecond=0)


def _tenth(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _bytes(count: int | None, digits: int) -> int | None:
    return None if count is None else round(count, digits)
