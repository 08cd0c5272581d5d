"""`grant.give`, `grant.end`, `grant.list`: the center's permissions to see, by signed order."""

from agent.commands.registry import Progress
from agent.contract.commands import Command, EndGrant, GiveGrant, ListGrants
from agent.core.errors import CommandError
from agent.grants.book import Grants
from agent.grants.store import told


class GrantHandler:
    """All three are harmless to repeat: a grant is known by its id and never prolonged."""

    def __init__(self, grants: Grants) -> None:
        self._grants = grants

    async def __call__(self, command: Command, _: Progress) -> dict[str, object]:
        match command.args:
            case GiveGrant(grant=grant):
                given = await self._grants.give(command, grant)
                return {"grant": grant.id, "lasts_s": round(given.left_s, 1)}
            case EndGrant(grant_id=grant_id):
                await self._grants.end(grant_id)
                return {"grant": grant_id}
            case ListGrants():
                return {"grants": await self._listed()}
        raise CommandError("command.wrong_handler", f"{command.op} is about no grant.")

    async def _listed(self) -> list[dict[str, object]]:
        return [dict(told(given, left_s)) for given, left_s in await self._grants.holding()]
