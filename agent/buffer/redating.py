"""What a correction of time moves in an index: segments, gaps, locks, and the ledger's minutes.

A shift is no whole number of minutes: frames are counted anew from their segments, and those of
segments that are gone are shared out between the two minutes that theirs came to lie in. Called in
the transaction that notes the correction.
"""

from collections import Counter
from sqlite3 import Connection

from agent.buffer.timekeeper import RecordedTime

MINUTE_US = 60_000_000


def redate(db: Connection, boot_id: str, before_mono_us: int, shift_us: int) -> None:
    """Move what this boot has recorded up to `before_mono_us`."""
    _redate_minutes(db, boot_id, before_mono_us, shift_us)  # first: it asks where segments were
    db.execute(
        "UPDATE segments SET start_utc_us = start_utc_us + ?, time_quality = ?"
        " WHERE start_mono_us < ? AND run_id IN (SELECT run_id FROM runs WHERE boot_id = ?)",
        (shift_us, RecordedTime.CORRECTED, before_mono_us, boot_id),
    )
    for end in ("from", "to"):
        db.execute(
            f"UPDATE gaps SET {end}_utc_us = {end}_utc_us + ?"  # noqa: S608
            f" WHERE {end}_boot_id = ? AND {end}_mono_us < ?",
            (shift_us, boot_id, before_mono_us),
        )
    db.execute(
        "UPDATE locks SET from_utc_us = from_utc_us + ?1, to_utc_us = to_utc_us + ?1,"
        " expires_utc_us = expires_utc_us + ?1 WHERE from_boot_id = ?2 AND from_mono_us < ?3",
        (shift_us, boot_id, before_mono_us),
    )
    db.execute(
        "UPDATE clock_proofs SET offset_us = offset_us + ? WHERE boot_id = ?", (shift_us, boot_id)
    )


def _redate_minutes(db: Connection, boot_id: str, before_mono_us: int, shift_us: int) -> None:
    if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'minutes'").fetchone():
        return  # an index without a ledger
    span = _span_of(db, boot_id, before_mono_us)
    if span is None:
        return
    since_us, until_us = span
    first, last = since_us // MINUTE_US, until_us // MINUTE_US
    if _is_shared(db, boot_id, first):
        first += 1  # the boot before has frames in it
    within = "WHERE minute BETWEEN ? AND ?"
    query = f"SELECT minute, stored FROM minutes {within}"  # noqa: S608
    before = Counter(dict(db.execute(query, (first, last)).fetchall()))
    counted: Counter[int] = Counter()
    for start_us, duration_us, frames in db.execute(
        "SELECT start_utc_us, duration_us, s.frames FROM segments s"
        " JOIN runs USING (run_id) WHERE boot_id = ? AND start_mono_us < ?"
        " AND state = 'closed' AND s.stream = 'main'",
        (boot_id, before_mono_us),
    ):
        before.subtract(spread(start_us, duration_us, frames))
        counted.update(spread(start_us + shift_us, duration_us, frames))
    ahead, over_us = divmod(shift_us, MINUTE_US)
    for minute, stored in (+before).items():
        later = round(stored * over_us / MINUTE_US)
        counted.update({minute + ahead: stored - later, minute + ahead + 1: later})
    events = db.execute(f"SELECT minute FROM event_minutes {within}", (first, last)).fetchall()  # noqa: S608
    for table in ("minutes", "event_minutes"):
        db.execute(f"DELETE FROM {table} {within}", (first, last))  # noqa: S608
    db.executemany(
        "INSERT INTO minutes (minute, stored) VALUES (?, ?)"
        " ON CONFLICT (minute) DO UPDATE SET stored = stored + excluded.stored",
        [(minute, stored) for minute, stored in counted.items() if stored],
    )
    db.executemany(
        "INSERT OR IGNORE INTO event_minutes (minute) VALUES (?)",
        [(row[0] + ahead + later,) for row in events for later in range(2 if over_us else 1)],
    )
    rates = db.execute(
        "SELECT since_utc_us, milli_fps FROM rates WHERE since_utc_us BETWEEN ? AND ?", span
    ).fetchall()
    db.execute("DELETE FROM rates WHERE since_utc_us BETWEEN ? AND ?", span)
    db.executemany(
        "INSERT OR REPLACE INTO rates (since_utc_us, milli_fps) VALUES (?, ?)",
        [(since + shift_us, milli_fps) for since, milli_fps in rates],
    )


def spread(start_us: int, duration_us: int, frames: int) -> Counter[int]:
    """Return how many of a segment's frames are of which minute, taken as evenly spread."""
    counted: Counter[int] = Counter()
    done = 0
    for minute in range(start_us // MINUTE_US, (start_us + duration_us) // MINUTE_US + 1):
        past_us = (minute + 1) * MINUTE_US - start_us
        until = min(frames, -(-past_us * frames // duration_us)) if duration_us else frames
        counted[minute], done = until - done, until
    return counted


def _span_of(db: Connection, boot_id: str, before_mono_us: int) -> tuple[int, int] | None:
    """Return since and until when, by its own time, this boot has recorded the main stream."""
    row = db.execute(
        "SELECT min(start_utc_us - start_mono_us) FROM segments JOIN runs USING (run_id)"
        " WHERE boot_id = ? AND start_mono_us < ? AND segments.stream = 'main'",
        (boot_id, before_mono_us),
    ).fetchone()
    begun = db.execute(
        "SELECT min(started_mono_us) FROM runs WHERE boot_id = ? AND stream = 'main'", (boot_id,)
    ).fetchone()
    if row[0] is None or begun[0] is None:
        return None
    return begun[0] + row[0], before_mono_us + row[0]  # what was deleted since was counted, too


def _is_shared(db: Connection, boot_id: str, minute: int) -> bool:
    query = (
        "SELECT 1 FROM segments JOIN runs USING (run_id) WHERE boot_id != ?"
        " AND start_utc_us < ? AND start_utc_us + duration_us > ? LIMIT 1"
    )
    place = (boot_id, (minute + 1) * MINUTE_US, minute * MINUTE_US)
    return db.execute(query, place).fetchone() is not None
