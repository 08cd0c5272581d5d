"""Rules in their shadow time: what they would have raised is counted and listed, never raised."""

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from agent.messages.vision import HitState, RuleHit
from agent.settings.model import CameraSettings
from agent.settings.rules import Rule

KEEP_ALARMS = 2_000
_UNDATED, _DATED, _OVER = range(3)


@dataclass(frozen=True, slots=True)
class ShadowAlarm:
    """What a rule would have raised."""

    hit_id: str
    camera_id: str
    rule_id: str
    kind: str
    labels: tuple[str, ...]
    began_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Trial:
    """A rule in its shadow time, or after it: what it would have raised in `lasted_days`."""

    camera_id: str
    rule_id: str
    since: datetime
    days: float
    lasted_days: float
    raised: int

    @property
    def is_over(self) -> bool:
        """Whether it raises now."""
        return self.lasted_days >= self.days


def learn(
    connection: sqlite3.Connection,
    cameras: Sequence[CameraSettings],
    now: datetime,
    *,
    is_proven: bool,
) -> bool:
    """Begin the shadow time of rules that are new or were changed; forget those that are gone.

    `is_proven`: the clock is right. Returns whether anything was changed.
    """
    before = connection.total_changes
    known = {row["member"]: row["definition"] for row in connection.execute(_RULES)}
    wanted = {
        f"{camera.camera_id}/{rule.rule_id}": rule
        for camera in cameras
        for rule in camera.rules
        if rule.shadow_days
    }
    for member in known.keys() - wanted.keys():
        connection.execute("DELETE FROM shadow_rules WHERE member = ?", (member,))
    for member, rule in wanted.items():
        definition = _definition(rule)
        if known.get(member) != definition:
            connection.execute(
                "INSERT OR REPLACE INTO shadow_rules (member, definition, since_utc_us, stage)"
                " VALUES (?, ?, ?, ?)",
                (member, definition, _us(now), _DATED if is_proven else _UNDATED),
            )
        connection.execute(
            "UPDATE shadow_rules SET days = ?, stage = min(stage, ?)"
            " WHERE member = ? AND days IS NOT ?",
            (rule.shadow_days, _DATED, member, rule.shadow_days),
        )
    return connection.total_changes != before


def date(connection: sqlite3.Connection, now: datetime, *, is_proven: bool) -> None:
    """Keep shadow times by a clock that may be wrong: call it before anything is asked of them.

    One begun by an unproven clock begins anew once the time is proven, unless it was over by then:
    a box may never be told the time. One that is over stays so.
    """
    if is_proven:
        connection.execute(
            "UPDATE shadow_rules SET since_utc_us = ?, stage = ? WHERE stage = ?",
            (_us(now), _DATED, _UNDATED),
        )
    connection.execute(
        "UPDATE shadow_rules SET stage = ? WHERE stage = ? AND since_utc_us + days * 864e8 <= ?",
        (_OVER, _DATED if is_proven else _UNDATED, _us(now)),
    )


def takes(connection: sqlite3.Connection, hit: RuleHit, rule: Rule | None, now: datetime) -> bool:
    """Note a hit of a rule in its shadow time; return False for one that is to be raised."""
    member = f"{hit.camera_id}/{hit.rule_id}"
    if hit.state is not HitState.BEGAN:
        ended_us = _us(hit.at) if hit.state is HitState.ENDED else None
        found = connection.execute(
            "UPDATE shadow_alarms SET ended_utc_us = ? WHERE member = ? AND ended_utc_us IS NULL",
            (ended_us, member),
        )
        return found.rowcount > 0
    if rule is None or not _is_shadowed(connection, member, rule, now):
        return False
    labels = " ".join(sorted({thing.label for thing in hit.objects}))
    began_us = _us(hit.at)
    connection.execute(  # one that was never ended (its worker died) is over
        "UPDATE shadow_alarms SET ended_utc_us = ? WHERE member = ? AND ended_utc_us IS NULL",
        (began_us, member),
    )
    added = connection.execute(
        "INSERT OR IGNORE INTO shadow_alarms (hit_id, member, camera_id, kind, labels, "
        "began_utc_us, ended_utc_us, picture)"
        " VALUES (?, ?, ?, ?, ?, ?, NULL, ?)",
        (hit.hit_id, member, hit.camera_id, hit.kind, labels, began_us, hit.picture_jpeg),
    )
    connection.execute(
        "UPDATE shadow_rules SET raised = raised + ? WHERE member = ?", (added.rowcount, member)
    )
    connection.execute(
        "DELETE FROM shadow_alarms WHERE rowid <= ("
        " SELECT rowid FROM shadow_alarms ORDER BY rowid DESC LIMIT 1 OFFSET ?)",
        (KEEP_ALARMS,),
    )
    return True


def listed(connection: sqlite3.Connection, limit: int) -> list[ShadowAlarm]:
    """Return what would have been raised, newest first."""
    rows = connection.execute(
        "SELECT * FROM shadow_alarms ORDER BY began_utc_us DESC LIMIT ?", (limit,)
    )
    return [
        ShadowAlarm(
            hit_id=row["hit_id"],
            camera_id=row["camera_id"],
            rule_id=row["member"].partition("/")[2],
            kind=row["kind"],
            labels=tuple(row["labels"].split()),
            began_at=_time(row["began_utc_us"]),
            ended_at=None if row["ended_utc_us"] is None else _time(row["ended_utc_us"]),
        )
        for row in rows
    ]


def trials(connection: sqlite3.Connection, now: datetime) -> list[Trial]:
    """Return every rule with a shadow time, and what it would have raised."""
    return [
        Trial(
            camera_id=row["member"].partition("/")[0],
            rule_id=row["member"].partition("/")[2],
            since=_time(row["since_utc_us"]),
            days=row["days"],
            lasted_days=_lasted_days(row, now),
            raised=row["raised"],
        )
        for row in connection.execute(f"{_RULES} ORDER BY member")
    ]


def _is_shadowed(connection: sqlite3.Connection, member: str, rule: Rule, now: datetime) -> bool:
    if not rule.shadow_days:
        return False
    row = connection.execute(f"{_RULES} WHERE member = ?", (member,)).fetchone()
    if row is None:
        return True  # the box has only just learned of it
    return _lasted_days(row, now) < rule.shadow_days


def _lasted_days(row: sqlite3.Row, now: datetime) -> float:
    days: float = row["days"]
    if row["stage"] == _OVER:
        return days
    return min(days, max(0.0, (now - _time(row["since_utc_us"])) / timedelta(days=1)))


def _definition(rule: Rule) -> str:
    """Name what a rule does; another zone or dwell time is another rule."""
    plain = msgspec.to_builtins(rule)
    for name in ("shadow_days", "enabled"):
        plain.pop(name, None)
    return hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()[:16]


def _us(at: datetime) -> int:
    return round(at.timestamp() * 1e6)


def _time(utc_us: int) -> datetime:
    return datetime.fromtimestamp(utc_us / 1e6, UTC)


_RULES = "SELECT * FROM shadow_rules"
