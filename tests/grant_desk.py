"""A box's orders and grants alone: signed orders in, replies, audit and ordered pushes out."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, timedelta

import msgspec
from joserfc.jwk import KeySet, OKPKey

from agent.app.policy_watch import PolicyWatch
from agent.commands import journal
from agent.commands.grant import GrantHandler
from agent.commands.policy import PolicyHandler
from agent.commands.registry import Commands
from agent.commands.signature import Signatures, claimed_id
from agent.contract.audit import AuditRecord
from agent.contract.commands import Actor, Command, GiveGrant
from agent.contract.events import CapStatus, StreamName, TimeQuality
from agent.contract.grants import ENDED, GrantReport, MediaGrant, Sink, StandingPolicy, What
from agent.core.clock import SystemClock
from agent.core.component import Components
from agent.core.db import Database
from agent.core.ids import new_ulid
from agent.events import incidents
from agent.grants import policies
from agent.grants import store as grant_store
from agent.grants.book import Grants
from agent.messages.push import PushState, StartPush, StopPush
from agent.outbox import audit, store
from agent.outbox.audit import Audit
from agent.outbox.writer import Outbox
from agent.simulators.center.commander import sign
from tests.spine import eventually

TOKEN = "a-secret-token"


class Clock(SystemClock):
    """The true clock, which a test may move; a boot of its own may begin."""

    trusted = TimeQuality.NTP
    wall_jump_s = mono_jump_s = 0.0

    def quality(self):
        return self.trusted

    def utc_now(self):
        return super().utc_now() + timedelta(seconds=self.wall_jump_s)

    def monotonic_s(self):
        return super().monotonic_s() + self.mono_jump_s


class Workers:
    """Notes what is ordered of them, and says that a push ended."""

    def __init__(self):
        self.orders, self.grants = [], None
        self.sent = 0

    @property
    def started(self):
        return [order for _, order in self.orders if isinstance(order, StartPush)]

    @property
    def stopped(self):
        return [order for _, order in self.orders if isinstance(order, StopPush)]

    async def send(self, camera_id, order):
        self.orders.append((camera_id, order))
        if isinstance(order, StopPush):
            await self.grants.told(
                PushState(push_id=order.push_id, bytes_total=self.sent, ended=True)
            )


class Desk:
    """A box's commands and grants; `give` sends a signed order and returns the last reply."""

    def __init__(self, folder, clock, boot="boot-1", parts=(), status=CapStatus.ACTUAL):
        self.folder, self.clock, self.workers, self.replies = folder, clock, Workers(), []
        parts = [store.PART, audit.PART, journal.PART, grant_store.PART, *parts]
        parts += [policies.PART, incidents.PART]
        self.db = Database(folder / "box.db", parts)
        self.outbox = Outbox(self.db, store.Store(clock, 1, max_bytes=10_000_000), clock)
        chain = Audit(self.outbox, clock, "edge/site-1/box-1")
        keys = folder / "keys.json"
        if not keys.exists():
            key = OKPKey.generate_key("Ed25519", auto_kid=True)
            (folder / "private.json").write_bytes(msgspec.json.encode(key.as_dict(private=True)))
            keys.write_bytes(msgspec.json.encode(KeySet([key]).as_dict(private=False)))
        private = msgspec.json.decode((folder / "private.json").read_bytes())
        self.key = OKPKey.import_key(private)
        self.grants = Grants(
            clock, self.db, chain.append_in, lambda: {"gate", "yard"}, self.workers.send, boot
        )
        self.workers.grants = self.grants
        self.commands = Commands(
            clock, self.db, Signatures(keys, "box-1", clock), chain, self._answer
        )
        self.commands.permits = self.grants
        self.policies = policies.Policies(clock, self.db, self.grants, "box-1", UTC, status)
        self.watch = PolicyWatch(clock, self.db, self.policies)
        for op in ("policy.give", "policy.end", "policy.list"):
            self.commands.register(op, PolicyHandler(self.policies), idempotent=True)
        for op in ("grant.give", "grant.list"):
            self.commands.register(op, GrantHandler(self.grants), idempotent=True)
        self.commands.register("grant.end", GrantHandler(self.grants), idempotent=True, lasts=True)

    async def _answer(self, reply):
        self.replies.append(reply)

    def command(self, args, **changes):
        now = int(self.clock.utc_now().timestamp())
        fields = {
            "id": new_ulid(self.clock.utc_now()),
            "args": args,
            "box": "box-1",
            "by": Actor(user="kim"),
            "iat": now,
            "nbf": now,
            "exp": now + 30,
            "iss": "center",
        }
        return Command(**(fields | changes))

    def grant(self, lasts_s=600, **changes):
        now = int(self.clock.utc_now().timestamp())
        fields = {
            "id": new_ulid(self.clock.utc_now()),
            "box": "box-1",
            "incident": "2026-0417",
            "audience": "119",
            "purpose": "a fire",
            "reason": "fire",
            "what": (What.LIVE,),
            "cameras": ("gate",),
            "nbf": now,
            "exp": now + lasts_s,
            "sink": Sink(url="rtsp://relay.example/gate", token=TOKEN),
        }
        return MediaGrant(**(fields | changes))

    async def order(self, args, **changes):
        return await self.hand_in(sign(self.command(args, **changes), self.key))

    async def give(self, grant, **changes):
        return await self.order(GiveGrant(grant=grant), **changes)

    async def hand_in(self, token):
        before, command_id = len(self.replies), claimed_id(token)
        await self.commands.handle(token)

        def ends():
            told = self.replies[before:]
            return [reply for reply in told if reply.state.is_final and reply.id == command_id]

        async def answered():
            return bool(ends())

        await eventually(answered)
        return ends()[-1]

    async def audited(self):
        rows = await self.outbox.read(StreamName.AUDIT, 0, 1000, 10**6)
        return [msgspec.json.decode(row.body, type=AuditRecord).data for row in rows]

    async def reports(self):
        return [
            msgspec.json.decode(entry.detail, type=GrantReport)
            for entry in await self.audited()
            if entry.op == ENDED
        ]


def policy(box, /, **changes):
    """A standing policy of this box that holds for a day."""
    now = int(box.clock.utc_now().timestamp())
    fields = {
        "id": new_ulid(box.clock.utc_now()),
        "box": "box-1",
        "audience": "112",
        "purpose": "the police room sees night intrusions",
        "reason": "crime",
        "kinds": ("intrusion",),
        "sink": Sink(url="rtsp://relay.example/{camera}", token=TOKEN),
        "nbf": now,
        "exp": now + 86_400,
    }
    return StandingPolicy(**(fields | changes))


@asynccontextmanager
async def desk(folder, clock=None, register=lambda _: None, **fields):
    """`register` is called with the desk before its orders are worked on."""
    made = Desk(folder, clock or Clock(), **fields)
    register(made)
    await made.db.start()
    await made.outbox.start()
    components = Components(made.clock)
    components.add(made.grants)
    components.add(made.commands)
    components.add(made.watch)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(components.run())
        try:
            yield made
        finally:
            running.cancel()
    await made.db.stop()
