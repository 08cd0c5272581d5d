"""Rule hits become few incidents: merged over rules, zones and cameras that look at one place.

An incident has members, the rules that hold or held. It ends when none has held for `merge_s`, so
somebody who walks from zone to zone, or from one camera's view into another's, is one incident.
What is beyond the ration, called false before, or in its shadow time: see `rations`, `nuisance`,
`shadow`. Runs in the core; every method inside the caller's transaction.
"""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime

from agent.contract.events import (
    CapCertainty,
    CapSeverity,
    EventKind,
    StreamName,
    TimeQuality,
)
from agent.core.clock import Clock
from agent.events import nuisance, shadow
from agent.events.happening import LOWERED, Happening
from agent.events.incidents import Incidents
from agent.events.rations import Rations
from agent.events.weights import family_of, is_always_raised
from agent.messages.vision import HitState, RuleHit
from agent.settings.model import AlarmSettings, Settings
from agent.settings.rules import Rule

KEY = "rule/"
LIMITED = "/limited"
CONFIRM_S = 20.0  # a rule says every few seconds that it still holds; after this it is over
LIMITED_MERGE_S = 600.0
LIMITED_CODE = "alarms.limited"


class Alarms:
    """Decides which incident a rule hit belongs to. `use` tells it the settings."""

    def __init__(self, incidents: Incidents, clock: Clock) -> None:
        self._incidents, self._clock = incidents, clock
        self._settings = AlarmSettings(merge_s=0.0, update_s=0.0)  # until `use`: nothing waits
        self._box: Settings | None = None
        self._must_learn = False
        self.rations = Rations(self._settings)

    def use(self, settings: Settings) -> None:
        """Take over settings, also while running."""
        self._box, self._settings, self._must_learn = settings, settings.alarms, True
        self.rations.settings = settings.alarms
        self._incidents.update_s = settings.alarms.update_s

    def take(self, connection: sqlite3.Connection, hit: RuleHit, what: Happening) -> str | None:
        """Do what a hit means; return the id of the incident it began or joined, if any."""
        self._mind_trials(connection)
        if shadow.takes(connection, hit, self._rule(hit), self._clock.utc_now()):
            return None
        member = f"{hit.camera_id}/{hit.rule_id}"
        if hit.state is HitState.BEGAN:
            return self._begin(connection, hit, what, member)
        row = _member(connection, member)
        if row is None:
            return None
        what = replace(what, key=row["key"])
        if hit.state is HitState.ENDED:
            self._leave(connection, row, what.at, what.mono_s, what.reason or "over")
            self.settle(connection)
        elif self._incidents.go_on(connection, what):
            self._join(connection, member, what)
        return None

    def settle(self, connection: sqlite3.Connection) -> None:
        """End what nobody confirms, and incidents that have been without members for `merge_s`."""
        now, now_s = self._clock.utc_now(), self._clock.monotonic_s()
        self._mind_trials(connection)
        self._incidents.end_forgotten(connection, float("inf"), KEY)
        boot = self._incidents.boot
        for row in connection.execute(f"{_MEMBERS} WHERE ended_mono_s IS NULL").fetchall():
            if row["boot"] != boot or now_s - row["last_mono_s"] > CONFIRM_S:
                self._leave(connection, row, now, now_s, "not-confirmed")
        for key in _left(connection):
            last = connection.execute(_LAST_OF, (key,)).fetchone()
            if last is None or now_s - last["ended_mono_s"] >= self._merge_s(key):
                self._close(connection, key, last)

    def trials(self, connection: sqlite3.Connection) -> list[shadow.Trial]:
        """Return every rule with a shadow time, and what it would have raised."""
        self._mind_trials(connection)
        return shadow.trials(connection, self._clock.utc_now())

    def _mind_trials(self, connection: sqlite3.Connection) -> None:
        """Begin the shadow time of rules that the settings name for the first time; date it."""
        is_proven, now = self._clock.quality() is TimeQuality.NTP, self._clock.utc_now()
        if self._must_learn and self._box is not None:  # until it stands there: this may be undone
            self._must_learn = shadow.learn(connection, self._box.cameras, now, is_proven=is_proven)
        shadow.date(connection, now, is_proven=is_proven)

    def _begin(
        self, connection: sqlite3.Connection, hit: RuleHit, what: Happening, member: str
    ) -> str:
        if known := self._incidents.of_hit(connection, hit.hit_id):
            return known
        row = _member(connection, member)
        is_open = row is not None and self._incidents.is_open(connection, row["key"])
        spot = _spot(hit, family_of(hit))
        if row is not None and is_open:  # its worker was restarted and sees the same again
            what = replace(what, key=row["key"])
        else:
            what = self._placed(connection, hit, what, spot)
        event_id = self._incidents.begin(connection, what)
        self._join(connection, member, what)
        if spot is not None:
            nuisance.remember(connection, event_id, spot)
        return event_id

    def _placed(
        self,
        connection: sqlite3.Connection,
        hit: RuleHit,
        what: Happening,
        spot: nuisance.Spot | None,
    ) -> Happening:
        """Return the happening with the key of the incident it opens or joins."""
        family, now = family_of(hit), self._clock.utc_now()
        key = f"{KEY}{self._place(hit.camera_id)}/{family}"
        if is_always_raised(EventKind(hit.kind)):
            return replace(what, key=key)
        if spot is not None and nuisance.is_lowered(connection, spot, now):
            return replace(
                what,
                key=key + LOWERED,
                stream=StreamName.EVENT,
                severity=CapSeverity.MINOR,
                certainty=CapCertainty.POSSIBLE,
                code="alarms.lowered",
            )
        if self._incidents.is_open(connection, key):
            return replace(what, key=key)
        if self._incidents.is_open(connection, key + LIMITED) or self.rations.is_spent(
            connection, key, family, now
        ):
            return replace(
                what,
                key=key + LIMITED,
                code=LIMITED_CODE,
                detail="There are many alike alarms here: further ones are kept together in this.",
            )
        return replace(what, key=key)

    def _place(self, camera_id: str) -> str:
        """Name what a camera looks at: itself, or the first of the group that looks there too."""
        for group in self._settings.overlaps:
            if camera_id in group:
                return group[0]
        return camera_id

    def _rule(self, hit: RuleHit) -> Rule | None:
        camera = self._box.camera(hit.camera_id) if self._box else None
        rules = camera.rules if camera else ()
        return next((rule for rule in rules if rule.rule_id == hit.rule_id), None)

    def _merge_s(self, key: str) -> float:
        return LIMITED_MERGE_S if key.endswith(LIMITED) else self._settings.merge_s

    def _join(self, connection: sqlite3.Connection, member: str, what: Happening) -> None:
        """Note that a member holds, at a time of this boot that lies not ahead of now."""
        held_s = min(what.mono_s, self._clock.monotonic_s())
        row, boot = _member(connection, member), self._incidents.boot
        if row is not None and row["boot"] == boot and row["key"] == what.key:
            held_s = max(held_s, row["last_mono_s"])
        connection.execute(
            "INSERT OR REPLACE INTO incident_members (member, key, boot, last_mono_s, "
            "ended_mono_s, ended_utc_us, reason)"
            " VALUES (?, ?, ?, ?, NULL, NULL, NULL)",
            (member, what.key, boot, held_s),
        )

    def _leave(
        self, connection: sqlite3.Connection, row: sqlite3.Row, at: datetime, at_s: float, why: str
    ) -> None:
        connection.execute(
            "UPDATE incident_members SET ended_mono_s = ?, ended_utc_us = ?, reason = ?"
            " WHERE member = ? AND ended_mono_s IS NULL",
            (
                min(at_s, self._clock.monotonic_s()),
                round(at.timestamp() * 1e6),
                why,
                row["member"],
            ),
        )

    def _close(self, connection: sqlite3.Connection, key: str, last: sqlite3.Row | None) -> None:
        at = self._clock.utc_now()
        mono_s, reason = self._clock.monotonic_s(), "not-confirmed"
        if last is not None:
            at = datetime.fromtimestamp(last["ended_utc_us"] / 1e6, UTC)
            mono_s, reason = last["ended_mono_s"], last["reason"]
        self._incidents.end_key(connection, key, at, mono_s, reason)
        connection.execute("DELETE FROM incident_members WHERE key = ?", (key,))


def _member(connection: sqlite3.Connection, member: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = connection.execute(
        f"{_MEMBERS} WHERE member = ?", (member,)
    ).fetchone()
    return row


def _left(connection: sqlite3.Connection) -> list[str]:
    """Return the keys of open incidents of rules in which no member holds any more."""
    rows = connection.execute(
        "SELECT key FROM incidents WHERE ended_utc_us IS NULL AND key LIKE ? || '%' AND key NOT IN"
        " (SELECT key FROM incident_members WHERE ended_mono_s IS NULL)",
        (KEY,),
    )
    return [row["key"] for row in rows]


def _spot(hit: RuleHit, family: str) -> nuisance.Spot | None:
    if not hit.objects:
        return None
    x, y = hit.objects[0].foot
    utc = hit.at.astimezone(UTC)
    return nuisance.Spot(hit.camera_id, family, x, y, utc.hour * 60 + utc.minute)


_MEMBERS = "SELECT * FROM incident_members"
_LAST_OF = f"{_MEMBERS} WHERE key = ? ORDER BY ended_mono_s DESC LIMIT 1"
