"""Joins incident sessions to what they touch: the district's topic, cameras, grants. Core."""

from pathlib import Path

from agent.app.sight import Sight
from agent.app.voice import Voice
from agent.commands.incidents import Hands, IncidentSessions
from agent.core.clock import Clock
from agent.core.db import Database
from agent.grants.book import Grants
from agent.grants.policies import Policies


def make_sessions(
    sight: Sight,
    voice: Voice,
    grants: Grants,
    policies: Policies,
    run_folder: Path,
    db: Database,
    clock: Clock,
) -> IncidentSessions:
    """Return the component; the center's calls reach it."""

    async def note(op: str, actor: str, outcome: str, code: str, detail: str) -> None:
        await voice.audit_desk.note(op, actor, outcome, code=code, detail=detail)

    sessions = IncidentSessions(
        clock,
        voice.signatures,
        voice.address,
        Hands(voice.leases, voice.aimer, sight.hub, grants, policies),
        voice.answer,
        note,
        run_folder,
        db,
    )
    voice.inbound.on_incident = sessions.take
    return sessions
