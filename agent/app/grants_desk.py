"""Joins the grants to what they touch: orders, the audit chain, the cameras' workers. Core."""

from collections.abc import Callable, Collection

from agent.app.policy_watch import PolicyWatch
from agent.app.worker_hub import WorkerHub
from agent.commands.grant import GrantHandler
from agent.commands.playback import PlaybackHandler
from agent.commands.policy import PolicyHandler
from agent.commands.registry import Commands
from agent.contract.commands import Args, Output
from agent.contract.grants import LONGEST_S
from agent.core.clock import Clock
from agent.core.db import Database
from agent.grants.book import Grants
from agent.grants.policies import Policies
from agent.outbox.audit import Audit
from agent.settings.model import Settings
from agent.settings.pole import OutputSettings, Purpose
from agent.settings.schedule import zone_named
from agent.uploads.sender import Uploads

_MACHINERY = (Purpose.FAN, Purpose.HEATER, Purpose.CAMERA_POWER, Purpose.BELL_TEST)


def make_grants(
    hub: WorkerHub,
    commands: Commands,
    uploads: Uploads,
    chain: Audit,
    db: Database,
    cameras: Callable[[], Collection[str]],
    outputs: Callable[[], Collection[OutputSettings]],
    clock: Clock,
) -> Grants:
    """Return the component; the grants' orders are registered, and all others must pass it."""

    def is_machinery(args: Args) -> bool:
        purposes = {one.output_id: one.purpose for one in outputs()}
        return isinstance(args, Output) and purposes.get(args.output_id) in _MACHINERY

    grants = Grants(clock, db, chain.append_in, cameras, hub.order_push, is_machinery=is_machinery)
    commands.permits, grants.at_end = grants, commands.at_grant_end
    uploads.grant_holds = grants.holds
    grants.at_end.append(uploads.grant_ended)
    hub.on_worker, hub.on_push = grants.worker_came, grants.told
    handler = GrantHandler(grants)
    for op in ("grant.give", "grant.list"):
        commands.register(op, handler, idempotent=True)
    commands.register("grant.end", handler, idempotent=True, lasts=True)  # it waits for no turn
    play = PlaybackHandler(grants)
    commands.register("playback", play, idempotent=False, deadline_s=LONGEST_S, lasts=True)
    return grants


def make_policies(
    grants: Grants, commands: Commands, db: Database, settings: Settings, clock: Clock
) -> tuple[Policies, PolicyWatch]:
    """Return the standing policies and who holds alarms against them; orders are registered."""
    zone = zone_named(settings.time_zone)
    policies = Policies(clock, db, grants, settings.box, zone, settings.status)
    handler = PolicyHandler(policies)
    for op in ("policy.give", "policy.end", "policy.list"):
        commands.register(op, handler, idempotent=True)
    return policies, PolicyWatch(clock, db, policies)
