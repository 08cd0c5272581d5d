"""Trains the dictionary of `agent.uplink.coding` on made-up boxes of every kind and mood.

`python -m agent.uplink.train_dictionary`; the seed is fixed, so the file can be made again. What
the fields are called changes the file: then raise `TELEMETRY_DICTIONARY` first. Never on the box.
"""

import random
from datetime import UTC, datetime, timedelta

import msgspec
import zstandard

from agent.contract.events import TimeQuality
from agent.contract.presence import State
from agent.contract.telemetry import (
    BoardSample,
    CameraSample,
    CameraState,
    LinkSample,
    OutboxSample,
    ProcessSample,
    Telemetry,
)
from agent.uplink.coding import DICTIONARIES, TELEMETRY_DICTIONARY

DICTIONARY_BYTES = 8192
_SAMPLES = 3000
_CODES = ("", "", "camera.unreachable", "camera.stalled", "camera.auth")
_PROCESSES = ("core", "detect", "supervisor")


def sample(chance: random.Random) -> Telemetry:
    """Return one plausible sample."""
    uptime_s = round(chance.expovariate(1 / 200_000), 1)
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.uniform(0, 1e8))
    names = [f"cam-{number}" for number in range(1, chance.randint(2, 6))]
    state = State(
        online=True,
        boot=chance.randint(1, 300),
        conn=chance.randint(1000, 10**9),
        ver="0.1.0",
        t=at - timedelta(seconds=chance.uniform(0, 1e5)),
        nonce=f"{chance.getrandbits(64):016x}",
    )
    queued = int(chance.expovariate(1 / 5000))
    return Telemetry(
        t=at,
        mono=round(uptime_s + 20, 3),
        tq=chance.choice([TimeQuality.NTP, TimeQuality.NTP, TimeQuality.RTC]),
        state=state,
        cameras=tuple(_camera(chance, name, at) for name in names),
        link=LinkSample(
            endpoint=f"mqtts://broker-{chance.randint(1, 9)}.example:8883",
            connects_total=chance.randint(1, 99),
            connected_s=round(chance.uniform(1, 1e5), 1),
            puback_ms=round(chance.expovariate(1 / 40), 1),
            ack_ms=round(chance.expovariate(1 / 200), 1),
        ),
        outbox=OutboxSample(
            waiting=0,
            waiting_bytes=0,
            queued_total=queued,
            acked_total=queued,
            evicted_total=0,
            resent_total=chance.randint(0, 30),
        ),
        board=BoardSample(
            temperature_c=round(chance.gauss(55, 9), 1),
            throttled=chance.random() < 0.05,
            undervoltage=chance.random() < 0.05,
            cpu_pct=round(chance.uniform(5, 95), 1),
            memory_free_bytes=chance.randint(10**8, 6 * 10**9),
            disk_free_bytes=chance.randint(10**9, 10**12),
            uptime_s=uptime_s,
        ),
        processes=tuple(
            ProcessSample(
                name=name,
                pss_bytes=chance.randint(10**7, 3 * 10**8),
                cpu_pct=round(chance.expovariate(1 / 12), 1),
                restarts_total=0 if chance.random() < 0.8 else chance.randint(1, 9),
            )
            for name in [*_PROCESSES, *(f"camera-{name}" for name in names)]
        ),
        detector_ms=round(chance.gauss(38, 12), 1),
    )


def _camera(chance: random.Random, name: str, at: datetime) -> CameraSample:
    code = chance.choice(_CODES)
    return CameraSample(
        camera_id=name,
        state=CameraState.LOST if code else CameraState.ONLINE,
        since=at - timedelta(seconds=chance.uniform(0, 1e6)),
        code=code,
        recording=not code,
        detecting=not code,
        main_fps=None if code else round(chance.gauss(15, 0.3), 1),
        sub_fps=None if code else round(chance.gauss(5, 0.2), 1),
        detect_fps=None if code else round(chance.uniform(0, 5), 2),
        gaps_total=chance.randint(0, 40),
    )


def main() -> None:
    """Write the file."""
    chance = random.Random(1)  # noqa: S311  a fixed seed is the point
    samples: list[bytes | bytearray | memoryview] = [
        msgspec.json.encode(sample(chance)) for _ in range(_SAMPLES)
    ]
    made = zstandard.train_dictionary(
        DICTIONARY_BYTES, samples, dict_id=TELEMETRY_DICTIONARY, level=19
    )
    DICTIONARIES.mkdir(exist_ok=True)
    (DICTIONARIES / f"telemetry-{TELEMETRY_DICTIONARY}.zstd").write_bytes(made.as_bytes())


if __name__ == "__main__":
    main()
