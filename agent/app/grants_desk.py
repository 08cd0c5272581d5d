"""Joins the grants to what they touch: orders, the audit chain, the cameras' workers. Core."""

from collections.abc import Callable, Collection

from agent.app.worker_hub import WorkerHub
from agent.commands.grant import GrantHandler
from agent.commands.registry import Commands
from agent.core.clock import Clock
from agent.core.db import Database
from agent.grants.book import Grants
from agent.outbox.audit import Audit


def make_grants(
    hub: WorkerHub,
    commands: Commands,
    chain: Audit,
    db: Database,
    cameras: Callable[[], Collection[str]],
    clock: Clock,
) -> Grants:
    """Return the component; `grant.give`, `grant.end` and `grant.list` are registered."""
    grants = Grants(clock, db, chain.append_in, cameras, hub.order_push)
    hub.on_worker, hub.on_push = grants.worker_came, grants.told
    handler = GrantHandler(grants)
    for op in ("grant.give", "grant.end", "grant.list"):
        commands.register(op, handler, idempotent=True)
    return grants
