"""What happened in a demo, read from the databases that the box and the center leave behind.

Nothing here is told by the processes themselves: the eyes' count of incidents (`index.db`), the
box's outbox (`box.db`) and the center's store (`center.db`) are compared with one another.
"""

import math
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct

from agent.buffer import reading as recordings
from agent.core.sqlite import open_reader
from agent.simulators.demo.plugs import Pulled


class GapRow(Struct, frozen=True, kw_only=True):
    """A time without recording, and why. `seconds` is None for one that had not ended."""

    began: datetime
    seconds: float | None
    cause: str


class CameraRow(Struct, frozen=True, kw_only=True):
    id: str
    frames: int
    recorded_s: float
    bytes: int
    gaps: list[GapRow]


class EventCounts(Struct, frozen=True, kw_only=True):
    """Incidents. `unheard_hits`: seen by the eyes, but no event was made of them.

    `waiting`: not at the center yet, but kept in the box's outbox. `lost`: raised, and neither
    there nor here. `duplicates`: stored twice there. `redelivered`: came again and was discarded
    there, as it should be.
    """

    raised: int
    received: int
    acknowledged: int
    duplicates: int
    waiting: int
    lost: int
    unheard_hits: int
    messages_queued: int
    messages_stored: int
    redelivered: int


class Spread(Struct, frozen=True, kw_only=True):
    count: int
    p50: float | None
    p95: float | None
    max: float | None


class Report(Struct, frozen=True, kw_only=True):
    """The demo's report; keys are stable, times in the units their names say."""

    started_at: datetime
    seconds: float
    ended_by: str = ""  # "Ctrl-C" or "SIGTERM"; empty: by itself, after the time it was given
    footage: str
    footage_origin: str
    simulated: tuple[str, ...]
    cameras: list[CameraRow]
    recorded_s: float
    detections: int
    events: EventCounts
    latency_ms: Spread
    command_rtt_ms: Spread
    cpu_s_per_camera_minute: float | None
    pss_mib: dict[str, float | None]
    detector_ms: float | None
    pulled: list[Pulled]
    restarts: dict[str, int]
    faults_at_end: list[str]


def camera_row(box_dir: Path, camera_id: str, now: datetime) -> CameraRow:
    """Read one camera's recordings; the gap that the end itself opened is left out."""
    folder = recordings.camera_folder(box_dir, camera_id)
    totals = recordings.totals(folder)
    found = recordings.gaps(folder, now - timedelta(days=30), now)
    return CameraRow(
        id=camera_id,
        frames=totals.frames,
        recorded_s=round(totals.recorded_s, 2),
        bytes=totals.size_bytes,
        gaps=[
            GapRow(
                began=gap.since,
                seconds=None
                if gap.until is None
                else round((gap.until - gap.since).total_seconds(), 2),
                cause=gap.cause,
            )
            for gap in found
            if not (gap.until is None and gap.cause == "stopped")
        ],
    )


def event_counts(box_dir: Path, center_dir: Path, camera_ids: Sequence[str]) -> EventCounts:
    """Compare the eyes, the box and the center with one another."""
    with closing(open_reader(box_dir / "box.db")) as box:
        raised = {row[0] for row in box.execute("SELECT event_id FROM incidents")}
        heard = {row[0] for row in box.execute("SELECT hit_id FROM incident_hits")}
        acknowledged = {
            row[0]
            for stream in "ae"
            for row in box.execute(
                f"SELECT event_id FROM outbox_{stream} WHERE phase = 'new' AND seq <="  # noqa: S608
                " (SELECT acked FROM outbox_heads WHERE stream = ?)",
                (stream,),
            )
        }
        waiting = {
            row[0]
            for stream in "ae"
            for row in box.execute(
                f"SELECT event_id FROM outbox_{stream} WHERE phase = 'new' AND seq >"  # noqa: S608
                " (SELECT acked FROM outbox_heads WHERE stream = ?)",
                (stream,),
            )
        }
        queued = box.execute(
            "SELECT sum(next_seq - 1) FROM outbox_heads WHERE stream IN ('a', 'e')"
        ).fetchone()[0]
    with closing(open_reader(center_dir / "center.db")) as center:
        news = [
            row[0]
            for row in center.execute(
                "SELECT id FROM records WHERE phase = 'new' AND type LIKE 'edge.event.%'"
            )
        ]
        stored, redelivered = center.execute(
            "SELECT count(*), coalesce(sum(redelivered), 0) FROM records"
            " WHERE type LIKE 'edge.event.%'"
        ).fetchone()
    hits: set[str] = set()
    for camera_id in camera_ids:
        hits |= recordings.hit_ids(recordings.camera_folder(box_dir, camera_id))
    return EventCounts(
        raised=len(raised),
        received=len(set(news) & raised),
        acknowledged=len(acknowledged),
        duplicates=len(news) - len(set(news)),
        waiting=len((raised & waiting) - set(news)),
        lost=len(raised - set(news) - waiting),
        unheard_hits=len(hits - heard),
        messages_queued=queued or 0,
        messages_stored=stored,
        redelivered=redelivered,
    )


def latencies_ms(box_dir: Path) -> list[float]:
    """Return, for each alarm's first message, rule true to acknowledged by the center."""
    with closing(open_reader(box_dir / "box.db")) as box:
        rows = box.execute(
            "SELECT (a.acked_mono_s - r.true_mono_s) * 1000 FROM outbox_a r JOIN outbox_acks a"
            " ON a.stream = 'a' AND a.upto = (SELECT min(upto) FROM outbox_acks"
            " WHERE stream = 'a' AND upto >= r.seq)"
            " WHERE r.phase = 'new' AND r.true_mono_s IS NOT NULL AND a.boot = r.boot"
        ).fetchall()
    return [row[0] for row in rows]


def spread(values: Sequence[float]) -> Spread:
    """Return nearest-rank percentiles; None of nothing."""
    ranked = sorted(values)

    def rank(share: float) -> float | None:
        return round(ranked[max(1, math.ceil(len(ranked) * share)) - 1], 1) if ranked else None

    return Spread(count=len(ranked), p50=rank(0.5), p95=rank(0.95), max=rank(1.0))
