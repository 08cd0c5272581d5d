"""What an order, a grant, a call or an aim would do on this box: told, audited, and not done. Core.

A technician tries a center's keys, a grant's words or a camera's calibration with them; nothing is
given, moved or shown. What is wrong comes back with the code it would have been refused by.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from agent.app.voice import Voice
from agent.commands import journal
from agent.commands.incidents import IncidentSessions
from agent.commands.policy import told as policy_told
from agent.commands.questions import TryAim, TryGrant, TryIncident
from agent.contract.commands import Actor, Command, GiveGrant, GivePolicy
from agent.contract.grants import MediaGrant
from agent.contract.incidents import IncidentCall
from agent.core.clock import Clock
from agent.core.db import Database
from agent.core.errors import CommandError, PolesideError
from agent.core.ids import new_ulid
from agent.grants.book import Grants
from agent.grants.policies import Policies
from agent.pointing.geodesy import Place

Answer = dict[str, Any]


class DryTries:
    """Each answers with `allowed`, and `code`, `message` and `hint` where it is not."""

    def __init__(
        self,
        voice: Voice,
        grants: Grants,
        policies: Policies,
        sessions: IncidentSessions,
        db: Database,
        clock: Clock,
    ) -> None:
        self._voice, self._grants, self._policies = voice, grants, policies
        self._sessions, self._db, self._clock = sessions, db, clock

    @property
    def handlers(self) -> dict[type, Callable[[Any], Awaitable[Answer]]]:
        """Who answers which question."""
        return {TryGrant: self.grant, TryIncident: self.incident, TryAim: self.aim}

    async def grant(self, asked: TryGrant) -> Answer:
        """Try a signed order, or a grant as plain JSON as if it was signed."""
        text = asked.text.strip().encode()
        answer: Answer = {"signed": not text.startswith(b"{")}
        return await self._audited("grant.try", asked.user, answer, self._grant(text, answer))

    async def incident(self, asked: TryIncident) -> Answer:
        """Try a signed call, or one as plain JSON as if it was signed."""
        text = asked.text.strip().encode()
        answer: Answer = {"signed": not text.startswith(b"{")}
        return await self._audited("incident.try", asked.user, answer, self._incident(text, answer))

    async def aim(self, asked: TryAim) -> Answer:
        """Try where a camera would turn to."""
        answer: Answer = {"camera_id": asked.aim.camera_id}
        return await self._audited("aim.try", asked.user, answer, self._aim(asked, answer))

    async def _audited(self, op: str, user: str, answer: Answer, work: Any) -> Answer:
        code = ""
        try:
            await work
        except PolesideError as error:
            code = error.code
            answer |= {"code": code, "message": error.message, "hint": error.hint}
        answer["allowed"] = not code
        outcome = "refused" if code else "done"
        note = self._voice.audit_desk.note
        about = str(answer.get("id") or answer.get("camera_id", ""))
        await note(op, user, outcome, code=code, detail=about)
        return answer

    async def _grant(self, text: bytes, answer: Answer) -> None:
        command = await self._command(text, signed=answer["signed"])
        answer |= {"id": command.id, "op": command.op}
        known = await self._db.run(lambda connection: journal.find(connection, command.id))
        if known is not None:
            answer["answered_before"] = known.reply.state.value if known.reply else "at it"
        if command.op not in self._voice.commands.operations:
            raise CommandError("command.unsupported", f"This box can't do `{command.op}`.")
        if answer["signed"]:
            nonce = self._voice.presence.state.nonce
            self._voice.signatures.check_time(command, nonce)
        if isinstance(command.args, GivePolicy):
            self._policies.check(command.args.policy)
            answer["policy"] = policy_told(command.args.policy)
            return
        is_given = isinstance(command.args, GiveGrant)
        grant = command.args.grant if is_given else self._grants.covering(command)  # type: ignore[union-attr]
        if grant is not None:
            answer["grant"] = _told(grant)
            answer["lasts_s"] = round(await self._grants.would_last_s(command, grant), 1)

    async def _command(self, text: bytes, *, signed: bool) -> Command:
        if signed:
            return await asyncio.to_thread(self._voice.signatures.look, text)
        grant = _decoded(text, MediaGrant)
        at = int(self._clock.utc_now().timestamp())
        return Command(
            id=new_ulid(self._clock.utc_now()),
            args=GiveGrant(grant=grant),
            box=self._voice.address.box,
            by=Actor(user="nobody"),
            iat=at,
            nbf=at,
            exp=at + 1,
            iss="local",
        )

    async def _incident(self, text: bytes, answer: Answer) -> None:
        site = self._voice.address.site
        if answer["signed"]:
            verify = self._voice.signatures.verify_incident
            call = await asyncio.to_thread(verify, text, site)
        else:
            call = _decoded(text, IncidentCall)
        answer["id"] = call.id
        answer |= await self._sessions.try_out(call)

    async def _aim(self, asked: TryAim, answer: Answer) -> None:
        aim = asked.aim
        place = Place(aim.lat, aim.lon, aim.height_m or 0.0)
        answer |= await self._voice.aimer.try_out(
            aim.camera_id, place, aim.area_m, has_height=aim.height_m is not None
        )


def _decoded(text: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.MsgspecError as error:
        raise CommandError(
            "command.malformed",
            f"It is not understood: {error}.",
            hint="Give a signed order (JWS), or what the contract's files describe, as JSON.",
        ) from error


def _told(grant: MediaGrant) -> Answer:
    """Return what a grant allows: no relay, no token."""
    told: Answer = msgspec.to_builtins(grant)
    sink = told.pop("sink", None)
    return told | {"to_a_relay": sink is not None}
