"""`verdict` and `nuisance`: what people say of alarms, and the map of false ones made of it."""

from agent.commands.registry import Progress
from agent.contract.commands import Command, Nuisance, Verdict
from agent.core.clock import Clock
from agent.core.db import Database
from agent.core.errors import CommandError
from agent.events import nuisance

_SAYS = {"true": True, "false": False, "none": None}
MOST_LISTED = 50


class VerdictHandler:
    """The same verdict again changes nothing; another one takes its place."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    async def __call__(self, command: Command, _: Progress) -> dict[str, object]:
        args = command.args
        if isinstance(args, Nuisance):
            return await self._nuisance(args)
        if not isinstance(args, Verdict):
            raise CommandError("command.wrong_handler", f"{command.op} is no verdict.")
        says, by, now = _SAYS[args.verdict], command.by.user, self._clock.utc_now()
        event_id = args.incident_id
        if not await self._db.run(lambda c: nuisance.judge(c, event_id, says, by, now)):
            raise CommandError(
                "verdict.no_such_incident",
                f"The box knows no incident {event_id}.",
                hint="It keeps the last 2,000; older ones can't be judged any more.",
            )
        return {"incident_id": event_id, "verdict": args.verdict}

    async def _nuisance(self, args: Nuisance) -> dict[str, object]:
        camera_id = args.camera_id
        cleared = 0
        if args.clear:
            if camera_id is None:
                raise CommandError("nuisance.no_camera", "Name the camera to be cleared.")
            cleared = await self._db.run(lambda c: nuisance.clear(c, camera_id))
        found = await self._db.run(lambda c: nuisance.listed(c, camera_id, self._clock.utc_now()))
        verdicts = [
            {
                "incident_id": one.event_id,
                "camera_id": one.camera_id,
                "class": one.family,
                "verdict": "true" if one.is_true else "false",
                "by": one.by,
                "at": one.at,
                "x": one.spot.x if one.spot else None,
                "y": one.spot.y if one.spot else None,
            }
            for one in found[:MOST_LISTED]
        ]
        return {"cleared": cleared, "total": len(found), "verdicts": verdicts}
