"""What `poleside buffer` says of disk, cameras and locks, in the reader's language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.local.cli.spoken import words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from agent.buffer.locks import Lock
    from agent.buffer.report import CameraBuffer, DiskStatus


def status_lines(disk: DiskStatus, cameras: Iterable[CameraBuffer], lang: str) -> Iterator[str]:
    """Yield what is stored, locked, deleted and written: of the disk, then of each camera."""
    words = words_of(lang)
    yield words["buffer.disk"].format(
        mount=disk.mount,
        medium=words["buffer.medium"].format(id=disk.medium_id) if disk.medium_id else "",
        free=size_of(disk.free_bytes),
        total=size_of(disk.total_bytes),
        inodes=disk.free_inodes,
    )
    for one in cameras:
        told = words["buffer.camera"]
        yield "\n" + told.format(camera=one.camera_id, n=one.segments, size=size_of(one.bytes))
        yield from (f"  {line}" for line in _camera_lines(one, lang))


def _camera_lines(one: CameraBuffer, lang: str) -> Iterator[str]:
    words = words_of(lang)
    if one.first_at and one.last_until:
        span = {"since": time_of(one.first_at), "until": time_of(one.last_until)}
        yield words["buffer.span"].format(**span)
    for tier in one.tiers:
        yield words["buffer.tier"].format(
            stream=words[f"buffer.stream.{tier.stream}"],
            tier=words[f"buffer.tier.{tier.tier}"],
            n=tier.segments,
            size=size_of(tier.bytes),
            since=time_of(tier.first_at),
            until=time_of(tier.last_until),
        )
    yield words[f"buffer.open.{str(one.is_open).lower()}"]
    if one.open_gap:
        yield words["buffer.not-recording"].format(cause=cause_of(one.open_gap, lang))
    yield words["buffer.locks"].format(
        events=one.event_locks,
        evidence=one.evidence_locks,
        size=size_of(one.locked_bytes),
        copied=one.copied,
        thinned=one.thinned,
        staged=one.staged,
    )
    yield words["buffer.timelapse"].format(n=one.stills, size=size_of(one.stills_bytes))
    rules = ", ".join(
        words["buffer.by-rule"].format(n=count, rule=words.get(f"buffer.rule.{rule}", rule))
        for rule, count in one.deleted_24h.items()
    )
    deleted = {"rules": rules or words["buffer.nothing"], "n": one.purge_records}
    yield words["buffer.deleted"].format(**deleted)
    written = {"size": size_of(one.written_today_bytes), "n": one.flushes_today}
    yield words["buffer.written"].format(**written)


def lock_line(camera_id: str, lock: Lock, lang: str) -> str:
    """Return one lock: what it holds, for what, until when."""
    words = words_of(lang)
    state = words["buffer.held"]
    if lock.released_at:
        why = words.get(f"buffer.why.{lock.released_why}", lock.released_why or "")
        state = words["buffer.released"].format(why=why)
    return words["buffer.lock"].format(
        camera=camera_id,
        lock=lock.lock_id,
        kind=words[f"buffer.lock.{lock.kind}"],
        since=time_of(lock.since),
        until=time_of(lock.until),
        incident=lock.incident_id,
        by=lock.approver,
        expires=time_of(lock.expires_at),
        state=state,
    )


def cause_of(cause: str, lang: str) -> str:
    """Return why there is no video; in English by its code, as programs and documents call it."""
    return cause if lang == "en" else words_of(lang).get(f"gap.{cause}", cause)


def time_of(at: datetime) -> str:
    """Return a time of UTC, to the second."""
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def size_of(count_bytes: int) -> str:
    """Return bytes as a person reads them, binary."""
    mebibytes = count_bytes / 1024**2
    return f"{mebibytes / 1024:.1f} GiB" if mebibytes >= 1024 else f"{mebibytes:.1f} MiB"
