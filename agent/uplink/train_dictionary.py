"""Trains the dictionary of `agent.uplink.coding` on made-up boxes of every kind and mood.

    python -m agent.uplink.train_dictionary

writes the file of the number in `coding.TELEMETRY_DICTIONARY`. Raise the number first: a test holds
every dictionary's bytes, for boxes and centers that have it. A field that `sample` never sets fails
a test. Never on the box.
"""

import random
from datetime import UTC, datetime, timedelta

import msgspec
import zstandard

from agent.contract.events import TimeQuality
from agent.contract.presence import State
from agent.contract.telemetry import (
    AlarmSample,
    BoardSample,
    CameraSample,
    CameraState,
    DataSample,
    FaultSample,
    LinkSample,
    OutboxSample,
    PowerSample,
    ProcessSample,
    RailSample,
    Telemetry,
    TrialSample,
    UploadSample,
)
from agent.uplink.coarse import coarse
from agent.uplink.coding import DICTIONARIES, TELEMETRY_DICTIONARY

DICTIONARY_BYTES = 16_384
_SAMPLES = 3000
_PROCESSES = ("core", "detect", "supervisor")
_RULES = ("yard", "gate", "path", "street", "stairs")
_FAULTS = (
    ("camera.unreachable", "camera/{}", "red"),
    ("camera.stalled", "camera/{}", "red"),
    ("camera.auth", "camera/{}", "red"),
    ("camera.not_recorded", "camera/{}", "red"),
    ("board.hot", "board", "yellow"),
    ("board.undervoltage", "board", "yellow"),
    ("clock.unsynced", "clock", "yellow"),
    ("storage.low", "disk", "yellow"),
    ("detector.motion_only", "detector", "yellow"),
)


def sample(chance: random.Random, *, is_idle: bool = False) -> Telemetry:
    """Return one plausible sample; of an idle box all is well and nothing happens."""
    uptime_s = round(chance.expovariate(1 / 200_000), 1)
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.uniform(0, 1e8))
    names = [f"cam-{number}" for number in range(1, 5 if is_idle else chance.randint(2, 6))]
    state = State(
        online=True,
        boot=chance.randint(1, 300),
        conn=chance.randint(1000, 10**9),
        ver="0.1.0",
        t=at - timedelta(seconds=chance.uniform(0, 1e5)),
        nonce=f"{chance.getrandbits(64):016x}",
        beat_s=300.0,
    )
    trouble = 0.0 if is_idle else chance.choice([0.0, 0.02, 0.1, 0.4])
    cameras = tuple(_camera(chance, name, at, trouble, uptime_s, is_idle=is_idle) for name in names)
    faults = _faults(chance, cameras, at, trouble)
    told = Telemetry(
        t=at,
        mono=round(uptime_s + 20, 3),
        tq=chance.choice([TimeQuality.NTP, TimeQuality.NTP, TimeQuality.RTC]),
        state=state,
        cameras=cameras,
        link=_link(chance, trouble),
        outbox=_outbox(chance, trouble),
        uploads=_uploads(chance, trouble),
        board=_board(chance, uptime_s, trouble),
        processes=tuple(
            ProcessSample(
                name=name,
                pss_bytes=chance.randint(10**7, 3 * 10**8),
                cpu_pct=round(chance.expovariate(1 / 12), 1),
                restarts_total=chance.randint(1, 9) if chance.random() < trouble else 0,
            )
            for name in [*_PROCESSES, *(f"camera-{name}" for name in names)]
        ),
        detector_ms=round(chance.gauss(38, 12), 1),
        detector_engine=chance.choice(["tflite", "tflite", "tflite", "onnx", "motion-only"]),
        clock_ahead_s=round(chance.gauss(0, 0.2), 1),
        faults=faults[:8],
        faults_untold=chance.randint(1, 5) if len(faults) == 8 else 0,
        read_back="4711" if chance.random() < 0.01 else "",
    )
    return coarse(told)


def _faults(
    chance: random.Random, cameras: tuple[CameraSample, ...], at: datetime, trouble: float
) -> tuple[FaultSample, ...]:
    told = chance.choices(_FAULTS, k=round(trouble * 20))
    return tuple(
        FaultSample(
            code=code,
            subject=subject.format(chance.choice(cameras).camera_id),
            severity="red" if severity == "red" else "yellow",
            since=at - timedelta(seconds=chance.uniform(0, 1e6)),
        )
        for code, subject, severity in told
    )


def _link(chance: random.Random, trouble: float) -> LinkSample:
    is_lte = chance.random() < 0.3
    limit_bytes = chance.choice([100_000_000, 300_000_000, 1_000_000_000])
    held = chance.random() < trouble
    return LinkSample(
        endpoint=f"mqtts://broker-{chance.randint(1, 9)}.example:8883",
        line="lte" if is_lte else "wired",
        connects_total=chance.randint(1, 99),
        connected_s=round(chance.uniform(1, 1e5), 1),
        puback_ms=round(chance.expovariate(1 / 40), 1),
        ack_ms=round(chance.expovariate(1 / 200), 1),
        last_error="link.lost" if chance.random() < trouble else "",
        mqtt=chance.choice(["3.1.1", "3.1.1", "5"]),
        data=DataSample(
            month=f"2026-{chance.randint(1, 12):02}",
            mode=chance.choice(["sparing", "storm", "spent"]) if held else "normal",
            used_bytes=chance.randint(0, limit_bytes),
            limit_bytes=limit_bytes,
            pictures_held=chance.randint(1, 500) if held else 0,
            samples_held=chance.randint(1, 500) if held else 0,
        )
        if is_lte
        else None,
    )


def _outbox(chance: random.Random, trouble: float) -> OutboxSample:
    queued = int(chance.expovariate(1 / 5000))
    waiting = chance.randint(1, 500) if chance.random() < trouble else 0
    return OutboxSample(
        waiting=waiting,
        waiting_bytes=waiting * chance.randint(500, 700),
        oldest_s=chance.uniform(0, 1e4) if waiting else None,
        queued_total=queued + waiting,
        acked_total=queued,
        evicted_total=chance.randint(1, 90) if chance.random() < trouble / 2 else 0,
        resent_total=chance.choice([0, 0, chance.randint(1, 30)]),
    )


def _uploads(chance: random.Random, trouble: float) -> UploadSample:
    waiting = chance.randint(1, 9) if chance.random() < trouble else 0
    return UploadSample(
        waiting=waiting,
        waiting_bytes=waiting * chance.randint(40_000, 9_000_000),
        held=chance.choice(["window", "budget", "line"]) if waiting else "",
        sent_bytes_total=chance.choice([0, chance.randint(1, 10**9)]),
    )


def _board(chance: random.Random, uptime_s: float, trouble: float) -> BoardSample:
    def is_off() -> bool:
        return chance.random() < trouble

    has_ups, has_wear = chance.random() < 0.3, chance.random() < 0.5
    wear = chance.choice(["warning", "urgent"]) if is_off() else "normal"
    return BoardSample(
        temperature_c=round(chance.gauss(55, 9), 1),
        throttled=is_off(),
        undervoltage=is_off(),
        cpu_pct=round(chance.uniform(5, 95), 1),
        memory_free_bytes=chance.randint(10**8, 6 * 10**9),
        disk_free_bytes=chance.randint(10**9, 10**12),
        uptime_s=uptime_s,
        simulated=chance.random() < 0.05,
        fan_rpm=chance.randint(900, 8000) if chance.random() < 0.5 else None,
        on_battery=is_off() if has_ups else None,
        battery_pct=chance.randint(20, 100) if has_ups else None,
        disk_life_used_pct=chance.randint(0, 100) if has_wear else None,
        disk_wear=wear if has_wear else None,  # type: ignore[arg-type]
        disk_read_only=is_off(),
        disk_written_bytes=chance.randint(10**6, 10**12),
        watchdog_reset=is_off(),
        heat_band=chance.choice(["warm", "hot", "very hot", "critical"]) if is_off() else "cool",
        silent=("fan",) if is_off() else (),
        contacts={"bell": "rest", "door": "open" if is_off() else "closed", "mains-lost": "rest"}
        if chance.random() < 0.6
        else {},
        outputs={"siren": is_off(), "light": chance.random() < 0.3} if has_ups else {},
        disk_failing=is_off() if has_wear else None,
        watchdog_armed=True,
        clock_chip=chance.random() < 0.5,
        power=PowerSample(
            frequency_capped=is_off(),
            soft_limited=is_off(),
            throttled_before=is_off(),
            undervoltage_before=is_off(),
            mode=chance.choice(["", "15W", "25W", "MAXN"]),
            rails={"VDD_IN": _rail(chance, trouble), "VDD_CPU_GPU_CV": _rail(chance, trouble)}
            if chance.random() < 0.4
            else {},
        ),
        bell_tests={"bell": "silent" if is_off() else "well"} if chance.random() < 0.6 else {},
        cpu_mhz=chance.choice([None, 600, 1500, 1800]),
        gpu_load_pct=round(chance.uniform(0, 100), 1) if has_ups else None,
        gpu_mhz=chance.choice([306, 625, 918]) if has_ups else None,
        memory_mhz=2133 if has_ups else None,
    )


def _rail(chance: random.Random, trouble: float) -> RailSample:
    return RailSample(
        volts=round(chance.gauss(5, 0.1), 2),
        amps=round(chance.uniform(0.2, 4), 2),
        over_current=chance.random() < trouble,
    )


def _camera(
    chance: random.Random, name: str, at: datetime, trouble: float, up_s: float, *, is_idle: bool
) -> CameraSample:
    is_off = chance.random() < trouble
    code = chance.choice(["camera.unreachable", "camera.stalled", "camera.auth"]) if is_off else ""
    # Where all is well, all cameras came when the agent was started.
    ago_s = up_s - chance.uniform(3, 12) if is_idle else chance.uniform(0, 1e6)
    return CameraSample(
        camera_id=name,
        state=CameraState.LOST if code else CameraState.ONLINE,
        since=at - timedelta(seconds=ago_s),
        code=code,
        detail="No route to host" if code else "",
        recording=not code,
        detecting=not code,
        main_fps=None if code else round(chance.gauss(15, 0.3), 1),
        sub_fps=None if code else round(chance.gauss(5, 0.2), 1),
        main_bps=round(chance.uniform(1e6, 4e6), -3) if code else None,
        detect_fps=None if code else 0.0 if is_idle else round(chance.uniform(0, 5), 1),
        detect_ms=round(chance.gauss(38, 12), 1) if code else None,
        shed_share=None if code else 0.0 if is_idle else round(chance.random(), 2),
        recorded_until=at - timedelta(seconds=chance.uniform(0, 10)) if code else None,
        gaps_total=chance.randint(0, 40),
        alarms=AlarmSample() if is_idle else _alarms(chance, trouble),
        counters={f"line.{side}": chance.randint(0, 9999) for side in ("in", "out")}
        if chance.random() < 0.2
        else {},
        clock_ahead_s=round(chance.gauss(0, 1), 1),
    )


def _alarms(chance: random.Random, trouble: float) -> AlarmSample:
    if chance.random() >= trouble + 0.2:
        return AlarmSample()
    raised = chance.randint(1, 40)
    rule_id = chance.choice(_RULES)
    days = round(chance.uniform(0.1, 7), 1)
    trial = TrialSample(
        rule_id=rule_id, days=days, lasted_days=days / 2, raised=chance.randint(0, 50)
    )
    return AlarmSample(
        raised=raised,
        lowered=chance.randint(0, 3),
        limited=chance.randint(0, 3),
        judged_true=chance.randint(0, raised),
        judged_false=chance.randint(0, raised),
        shadow=chance.randint(0, 5),
        trials=(trial,) if chance.random() < 0.2 else (),
    )


def main() -> None:
    """Write the file."""
    chance = random.Random(1)  # noqa: S311  a fixed seed is the point
    samples: list[bytes | bytearray | memoryview] = [
        msgspec.json.encode(sample(chance, is_idle=number % 2 == 0)) for number in range(_SAMPLES)
    ]
    made = zstandard.train_dictionary(
        DICTIONARY_BYTES, samples, dict_id=TELEMETRY_DICTIONARY, level=19
    )
    DICTIONARIES.mkdir(exist_ok=True)
    (DICTIONARIES / f"telemetry-{TELEMETRY_DICTIONARY}.zstd").write_bytes(made.as_bytes())


if __name__ == "__main__":
    main()
