"""Standing policies: kept in `box.db`, and made grants when an alarm of the box calls for it.

They were signed when they came, by the order that brought them; nothing outside is asked later.
"""

import hashlib
import sqlite3
from collections.abc import Collection, Iterable
from datetime import tzinfo

import msgspec

from agent.contract.commands import Actor, Command, Ping
from agent.contract.events import CapStatus, EventKind, TimeQuality
from agent.contract.grants import MediaGrant, Reason, StandingPolicy
from agent.contract.incidents import IncidentKind
from agent.core import log
from agent.core.clock import Clock
from agent.core.db import Database, Part
from agent.core.errors import CommandError
from agent.grants.book import Grants
from agent.grants.check import check_audience
from agent.settings.schedule import is_awake, window

PART = Part("policies", ["CREATE TABLE policies (id TEXT PRIMARY KEY, body BLOB NOT NULL)"])
MOST = 64

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_KINDS = frozenset(EventKind) | frozenset(IncidentKind)


class Policies:
    """All standing policies of the box; `zone` is the site's local time, `status` the box's."""

    def __init__(
        self,
        clock: Clock,
        db: Database,
        grants: Grants,
        box: str,
        zone: tzinfo,
        status: CapStatus = CapStatus.ACTUAL,
    ) -> None:
        self._status = status
        self._clock, self._db, self._grants = clock, db, grants
        self._box, self._zone = box, zone
        self._kept: list[StandingPolicy] | None = None
        self._log = log.get("policies")

    async def give(self, policy: StandingPolicy) -> None:
        """Keep a policy. The same id again takes its place.

        Raises `CommandError` grant.wrong_box, unknown_audience, wrong_audience, unknown_reason,
        no_trigger, expired, policy.unknown_kind, bad_hours, too_many.
        """
        self.check(policy)

        def write(connection: sqlite3.Connection) -> None:
            known = {one.id for one in kept(connection)}
            if len(known - {policy.id}) >= MOST:
                raise CommandError("policy.too_many", f"The box keeps {MOST} policies at most.")
            row = (policy.id, msgspec.json.encode(policy))
            connection.execute("INSERT OR REPLACE INTO policies (id, body) VALUES (?, ?)", row)

        await self._db.run(write)
        self._kept = None

    async def end(self, policy_id: str) -> None:
        """Forget a policy and end what it allowed; one that is not there is no error."""
        await self._db.run(
            lambda c: c.execute("DELETE FROM policies WHERE id = ?", (policy_id,)).rowcount
        )
        self._kept = None
        for given, _ in await self._grants.holding():
            if given.by == _by(policy_id):
                await self._grants.end(given.grant.id)

    async def holding(self) -> list[StandingPolicy]:
        """Return the policies that hold now, by this box's clock."""
        if self._clock.quality() is TimeQuality.UNSYNCED:
            return []  # it can't tell whether they hold
        if self._kept is None:
            self._kept = await self._db.run(kept)
        now_s = self._clock.utc_now().timestamp()
        return [one for one in self._kept if one.nbf <= now_s < one.exp]

    async def apply(
        self,
        kind: str,
        incident: str,
        cameras: Iterable[str],
        zones: Collection[str] = (),
        *,
        on_call: bool = False,
    ) -> int:
        """Make grants for an alarm or a call; return how many new ones.

        `cameras` are those it is about; `on_call` leaves it to the session which of them push.
        """
        about, given = tuple(cameras), 0
        for policy in await self.fitting(kind, zones):
            given += await self._give(policy, incident, policy.cameras or about, on_call)
        return given

    async def fitting(self, kind: str, zones: Collection[str] = ()) -> list[StandingPolicy]:
        """Return the policies that an alarm or a call of this kind would bring about now."""
        local = self._clock.utc_now().astimezone(self._zone)
        return [
            policy
            for policy in await self.holding()
            if kind in policy.kinds
            and (not policy.zones or set(policy.zones) & set(zones))
            and is_awake([window(one) for one in policy.hours], local)
        ]

    async def _give(
        self, policy: StandingPolicy, incident: str, cameras: tuple[str, ...], on_call: bool
    ) -> int:
        at = int(self._clock.utc_now().timestamp())
        exp = min(at + policy.lasts_s, policy.exp)
        grant = MediaGrant(
            id=_id_of(policy.id, incident),
            box=self._box,
            incident=incident,
            audience=policy.audience,
            purpose=policy.purpose,
            reason=policy.reason,
            what=policy.what,
            cameras=cameras,
            nbf=at,
            exp=exp,
            limits=policy.limits,
            sink=policy.sink,
            status=self._status,
            on_call=on_call,
        )
        order = Command(
            id=grant.id,
            args=Ping(),
            box=self._box,
            by=_by(policy.id),
            iat=at,
            nbf=at,
            exp=exp,
            iss="policy",
        )
        try:
            await self._grants.give(order, grant)
        except CommandError as error:  # given before, most likely
            self._log.info("policy makes no grant", policy=policy.id, code=error.code)
            return 0
        return 1

    def check(self, policy: StandingPolicy) -> None:
        """Raise `CommandError` as `give` does."""
        if policy.box != self._box:
            raise CommandError("grant.wrong_box", f"The policy is for {policy.box}.")
        check_audience(policy.audience, policy.what)
        if policy.reason not in tuple(Reason):
            raise CommandError("grant.unknown_reason", f"The box knows no `{policy.reason}`.")
        if policy.reason == Reason.ANKLET:
            raise CommandError("grant.no_trigger", "An anklet has no standing policy.")
        if strange := sorted(set(policy.kinds) - _KINDS):
            raise CommandError("policy.unknown_kind", f"The box knows no kind {strange[0]}.")
        try:
            for text in policy.hours:
                window(text)
        except ValueError as error:
            raise CommandError("policy.bad_hours", str(error)) from error
        if self._clock.utc_now().timestamp() >= policy.exp:
            raise CommandError("grant.expired", "The policy is over already.")


def kept(connection: sqlite3.Connection) -> list[StandingPolicy]:
    """Return all policies the box was given, also those that are over."""
    rows = connection.execute("SELECT body FROM policies ORDER BY id").fetchall()
    return [msgspec.json.decode(row["body"], type=StandingPolicy) for row in rows]


def _by(policy_id: str) -> Actor:
    return Actor(user="box", role="standing policy", case=policy_id)


def _id_of(policy_id: str, incident: str) -> str:
    """One id for one policy and alarm, so that no kill makes it two."""
    number = int.from_bytes(hashlib.sha256(f"{policy_id} {incident}".encode()).digest()[:16])
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -5, -5))
