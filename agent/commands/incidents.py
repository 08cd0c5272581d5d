"""Incident sessions: the center's calls to the district taken, checked, answered and ended.

district topic -> `take` -> Session; each answers under the call's id what it sees and does.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from agent.commands import incident_store
from agent.commands.aim import Aimer
from agent.commands.incident_session import Session, as_command
from agent.commands.ptz_lease import Leases
from agent.commands.signature import Signatures, claimed_id
from agent.contract.commands import Reply, ReplyState
from agent.contract.events import CapStatus
from agent.contract.grants import AnkletTrigger, Audience, Reason, What
from agent.contract.incidents import IncidentCall, IncidentKind
from agent.contract.topics import BoxAddress
from agent.core import log
from agent.core.clock import Clock, boot_id
from agent.core.component import Service
from agent.core.db import Database
from agent.core.errors import CommandError, PolesideError
from agent.core.whole_file import write_whole
from agent.grants.book import Grants
from agent.grants.policies import Policies
from agent.health.catalogue import fault_of
from agent.health.fault import Fault
from agent.messages.locking import LockOrder, LockReply
from agent.messages.worker import PictureReply
from agent.pointing.footprint import View, candidates
from agent.pointing.stand import view_of

STATE_FILE = "incident-sessions.json"
_STEP_S, _TALLY_S = 0.5, 10.0
_MOST, _MOST_REMEMBERED = 16, 256
_MOST_PICTURES, _PICTURE_WIDTH_PX, _PICTURE_BYTES = 3, 320, 6_000

Answer = Callable[[Reply], Awaitable[None]]
Note = Callable[[str, str, str, str, str], Awaitable[None]]  # op, actor, outcome, code, detail


class Workers(Protocol):
    """Whoever can have a camera's worker keep video, and show its picture."""

    async def order_lock(self, camera_id: str, order: LockOrder) -> LockReply: ...

    async def picture(self, camera_id: str, max_width_px: int, max_bytes: int) -> PictureReply: ...


@dataclass(frozen=True, slots=True)
class Hands:
    """What sessions move and ask."""

    leases: Leases
    aimer: Aimer
    workers: Workers
    grants: Grants
    policies: Policies


class IncidentSessions(Service):
    """All sessions of the box. `note` audits; `run_folder` gets what `poleside incidents` shows."""

    name = "incident-sessions"

    def __init__(
        self,
        clock: Clock,
        signatures: Signatures,
        address: BoxAddress,
        hands: Hands,
        answer: Answer,
        note: Note,
        run_folder: Path,
        db: Database,
        this_boot: str = "",
    ) -> None:
        super().__init__(clock)
        self._db, self._boot = db, this_boot or boot_id()
        self.clock, self.leases, self.aimer = clock, hands.leases, hands.aimer
        self._signatures, self._address = signatures, address
        self._workers, self._grants = hands.workers, hands.grants
        self._policies = hands.policies
        self._answer, self._note, self._file = answer, note, run_folder / STATE_FILE
        self._sessions: dict[str, Session] = {}
        self._over: dict[str, int] = {}  # the last word of sessions that ended
        self._tidying: list[Session] = []  # ended, with locks that workers have not heard of
        self._looks_deg: dict[str, float | None] = {}
        self._news, self._loaded = asyncio.Event(), asyncio.Event()
        self._log = log.get(self.name)

    async def take(self, token: bytes) -> None:
        """Take a word about a session; what is wrong with it is audited and answered."""
        await self._loaded.wait()
        try:
            call = await asyncio.to_thread(
                self._signatures.verify_incident, token, self._address.site
            )
            known = self._sessions.get(call.id)
            last = known.call.seq if known else self._over.get(call.id, 0)
            if call.seq == last:
                return  # said again, for whom it did not reach
            _check(call, last)
            self._check_room(call)
        except CommandError as error:
            await self._refuse(claimed_id(token), error)
            return
        await self._take_grants(call)
        if known is not None:
            known.update(call)
            await self.keep(known)
        elif call.ended:
            await self._forget(call)
        else:
            await self._open(call)
        self._news.set()

    async def try_out(self, call: IncidentCall) -> dict[str, object]:
        """Return what a call would have this box do; nothing is done. Raises `CommandError`."""
        await self._loaded.wait()
        known = self._sessions.get(call.id)
        _check(call, known.call.seq if known else self._over.get(call.id, 0))
        self._check_room(call)
        await self._find_looks()
        views, session = self.views(call), Session(self, call, self._address.box, boot=self._boot)
        wanted = session.wanted_by(views)
        is_actual = call.status is CapStatus.ACTUAL
        policies = await self._policies.fitting(call.kind) if is_actual else []
        return {
            "candidates": told(session, views)["candidates"],
            "called": list(wanted),
            "may_turn": [one for one in wanted if self.may(call, What.PTZ, one)],
            "policies": [one.id for one in policies],
        }

    async def run(self) -> None:
        await self._load()
        tally_s = self.clock.monotonic_s() + _TALLY_S
        async with asyncio.TaskGroup() as tasks:
            while True:
                self.progressed()
                self._news.clear()
                for session in tuple(self._sessions.values()):
                    if session.is_over:
                        await self._end(session)
                        self._tidying.append(session)
                    else:
                        await session.step(tasks)
                while self._tidying:
                    tasks.create_task(self._tidy(self._tidying.pop()))
                if self.clock.monotonic_s() >= tally_s:
                    tally_s = self.clock.monotonic_s() + _TALLY_S
                    for session in tuple(self._sessions.values()):
                        await self.keep(session)
                try:
                    async with asyncio.timeout(_STEP_S if self._sessions else None):
                        await self._news.wait()
                except TimeoutError:
                    continue

    async def start(self) -> None:
        self._sessions.clear()  # read again from the disk
        self._tidying.clear()
        self._loaded.clear()
        await self._show()

    def faults(self) -> Iterator[Fault]:
        """Tell of whom a session lost sight; in an exercise nobody is lost."""
        for session in self._sessions.values():
            if session.is_lost and session.call.status is CapStatus.ACTUAL:
                incident, silence_s = session.call.incident, session.call.silence_s
                yield fault_of(
                    "incident.position_lost",
                    f"incident/{incident}",
                    incident=incident,
                    seconds=round(silence_s),
                )

    # What a session needs of the box

    def views(self, by: IncidentCall) -> list[View]:
        """Return what the cameras see that have a stand."""
        movable = self.aimer.movable()
        return [
            view_of(
                camera_id,
                stand,
                has_ptz=camera_id in movable,
                is_busy=not self.leases.is_free(camera_id)
                and not self.leases.is_held_by(camera_id, by.by),
                looks_deg=self._looks_deg.get(camera_id),
            )
            for camera_id, stand in self.aimer.stands.items()
        ]

    def may(self, call: IncidentCall, what: What, camera_id: str) -> bool:
        """Say whether somebody allowed it."""
        return self._grants.covers(call.incident, what, camera_id)

    async def lock(self, camera_id: str, order: LockOrder) -> None:
        """Have a camera keep video. Raises `PolesideError`."""
        reply = await self._workers.order_lock(camera_id, order)
        if reply.code:
            raise CommandError(reply.code, reply.message, hint=reply.hint)

    async def changed(self, session: Session) -> None:
        """Say what the session sees and does now; start and end its pushes."""
        await self.keep(session)
        await self._call(session.call.incident)
        await self._say(session, ReplyState.PROGRESS)
        await self._show()

    async def _load(self) -> None:
        """Go on with what a kill or a reboot has interrupted."""
        self._over = await self._db.run(incident_store.over)
        for kept in await self._db.run(incident_store.holding):
            session = Session(self, kept.call, self._address.box, kept, self._boot)
            if kept.ended_at is not None:
                self._over[kept.call.id] = kept.call.seq
                self._tidying.append(session)
                continue
            self._sessions[kept.call.id] = session
            await self._audit("incident.resume", session, "done")
        if self._sessions:
            await self._find_looks()
        self._loaded.set()

    async def keep(self, session: Session) -> None:
        """Write down how a session stands."""
        kept = session.kept()
        await self._db.run(lambda connection: incident_store.keep(connection, kept))

    async def _call(self, incident: str) -> None:
        """Push from every camera that a session of this incident has called up."""
        ours = [one.cameras for one in self._sessions.values() if one.call.incident == incident]
        await self._grants.call(incident, set().union(*ours))

    async def _find_looks(self) -> None:
        for camera_id in self.aimer.movable():
            self._looks_deg[camera_id] = await self.aimer.azimuth_deg(camera_id)

    def _check_room(self, call: IncidentCall) -> None:
        if call.id not in self._sessions and len(self._sessions) >= _MOST:
            raise CommandError("incident.busy", "The box has too many sessions already.")

    async def _open(self, call: IncidentCall) -> None:
        await self._find_looks()
        if call.status is CapStatus.ACTUAL:
            cameras = sorted(self.aimer.stands)[:16]
            await self._policies.apply(call.kind, call.incident, cameras, on_call=True)
        session = Session(self, call, self._address.box, boot=self._boot)
        self._sessions[call.id] = session
        await self.keep(session)
        await self._audit("incident.open", session, "done")
        await self._say(session, ReplyState.PROGRESS, with_pictures=True)

    async def _end(self, session: Session) -> None:
        call = session.call
        del self._sessions[call.id]
        self._over[call.id] = call.seq
        await session.end()
        await self.keep(session)  # `_tidy` forgets it when its locks are seen to
        await self._call(call.incident)
        await self._audit("incident.end", session, "ended" if call.ended else "expired")
        await self._say(session, ReplyState.DONE)
        await self._show()

    async def _tidy(self, session: Session) -> None:
        await session.tidy()
        await self._forget(session.call)

    async def _forget(self, call: IncidentCall) -> None:
        """Remember its last word only: none from before it is taken any more."""
        self._over[call.id] = call.seq
        while len(self._over) > _MOST_REMEMBERED:
            del self._over[next(iter(self._over))]
        await self._db.run(lambda c: incident_store.end(c, call.id, call.seq))

    async def _take_grants(self, call: IncidentCall) -> None:
        """Take this box's grants that came along; a bad one is audited and no reason to stop."""
        for grant in call.grants:
            if grant.box == self._address.box and not call.ended:
                try:
                    await self._grants.give(as_command(call, self._address.box), grant)
                except CommandError as error:
                    await self._note("grant.give", call.by.user, "refused", error.code, grant.id)

    async def _refuse(self, call_id: str, error: CommandError) -> None:
        self._log.warning("call refused", call=call_id, code=error.code)
        await self._note("incident.call", "", "refused", error.code, call_id)
        if call_id:
            reply = Reply(
                id=call_id, state=ReplyState.REFUSED, code=error.code, message=error.message
            )
            await self._send(reply)

    async def _say(
        self, session: Session, state: ReplyState, *, with_pictures: bool = False
    ) -> None:
        result = told(session, self.views(session.call))
        if with_pictures:
            for one in result["candidates"][:_MOST_PICTURES]:  # type: ignore[index]
                one.update(await self._picture(session.call, one["camera_id"]))
        await self._send(Reply(id=session.call.id, state=state, result=result))

    async def _picture(self, call: IncidentCall, camera_id: str) -> dict[str, object]:
        """Return what a camera sees and how old that is, where somebody may see it."""
        if not self.may(call, What.SNAPSHOT, camera_id):
            return {}
        try:
            reply = await self._workers.picture(camera_id, _PICTURE_WIDTH_PX, _PICTURE_BYTES)
        except PolesideError:
            return {}
        return {
            "jpeg": base64.b64encode(reply.jpeg or b"").decode(),
            "taken_at": reply.taken_at,
            "age_s": round(self.clock.monotonic_s() - reply.taken_mono_s, 2),
        }

    async def _send(self, reply: Reply) -> None:
        try:
            await self._answer(reply)
        except PolesideError as error:
            self._log.info("answer not sent", call=reply.id, code=error.code)

    async def _audit(self, op: str, session: Session, outcome: str) -> None:
        call = session.call
        detail = f"{call.incident} {call.kind} {call.status} {call.reason} for {call.audience}"
        await self._note(op, call.by.user, outcome, "", detail)

    async def _show(self) -> None:
        shown = [told(one, self.views(one.call)) for one in self._sessions.values()]
        body = msgspec.json.encode(shown)
        try:
            await asyncio.to_thread(write_whole, self._file, body, 0o600)
        except OSError as error:
            self._log.warning("sessions not shown", reason=str(error))


def told(session: Session, views: list[View]) -> dict[str, object]:
    """Return what a session sees and does, for the center and for the box's own commands."""
    call = session.call
    seen = candidates(views, session.place, call.radius_m + call.accuracy_m)
    return {
        "incident": call.incident,
        "kind": call.kind,
        "status": call.status.value,
        "follow": call.follow,
        "lost": session.is_lost,
        "began_at": session.began_at,
        "seq": call.seq,
        "candidates": [msgspec.to_builtins(one) for one in seen[:8]],
        "next": list(session.nexts),
        "called": [
            {"camera_id": camera_id, "aimed": known.is_aimed}
            for camera_id, known in session.cameras.items()
        ],
    }


def read_sessions(run_folder: Path) -> list[dict[str, Any]]:
    """Return what the running agent's sessions see and do; empty when none runs."""
    try:
        return msgspec.json.decode(
            (run_folder / STATE_FILE).read_bytes(), type=list[dict[str, Any]]
        )
    except (OSError, msgspec.MsgspecError):
        return []


def _check(call: IncidentCall, last_seq: int) -> None:
    """Raise `CommandError` for words this box does not know, and for an older word."""
    if call.seq < last_seq:
        raise CommandError("incident.replayed", "A newer word of this session came before.")
    for what, known in (
        (call.kind, IncidentKind),
        (call.reason, Reason),
        (call.audience, Audience),
    ):
        if what not in tuple(known):
            raise CommandError("incident.unknown_word", f"The box knows no `{what}`.")
    if call.reason == Reason.ANKLET and call.trigger not in tuple(AnkletTrigger):
        raise CommandError("incident.no_trigger", "An anklet needs one of its four triggers.")
