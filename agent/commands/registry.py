"""From a signed order to its replies: checked, journalled, executed once, audited, answered."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from agent.commands import journal
from agent.commands.answers import Answer, Answers
from agent.commands.outcome import entry_for, reply_for, state_of
from agent.commands.ptz_key import is_step
from agent.commands.signature import Signatures, claimed_id
from agent.commands.turned_down import TurnedDown
from agent.contract.audit import AuditEntry
from agent.contract.commands import Actor, Args, Command, Reply, ReplyState
from agent.contract.events import TimeQuality
from agent.contract.needs import need_of
from agent.core import log
from agent.core.clock import Clock
from agent.core.component import Service
from agent.core.db import Database
from agent.core.errors import CommandError, PolesideError, StorageError
from agent.core.ids import new_ulid
from agent.outbox.audit import Audit

_MOST_AT_ONCE = 8
_MOST_WAITING = 32
_FORGET_EVERY_S, _AGAIN_S = 600.0, 2.0
_LOCAL, _LOCAL_VALID_S, _LOCAL_LOOK_S = "local", 30, 0.1


class Progress(Protocol):
    """Tells the center how far it is; `result` as in the final reply. False: it was not reached."""

    async def __call__(self, text: str, result: dict[str, object] | None = None) -> bool: ...


class Permits(Protocol):
    """Whoever knows what the center may order on which grant."""

    async def permit(self, command: Command) -> None: ...

    def rests_on(self, command: Command) -> str: ...

    async def holds(self, grant_id: str) -> bool: ...

    def resting(self, grant_id: str) -> AbstractAsyncContextManager[None]: ...


Handler = Callable[[Command, Progress], Awaitable[dict[str, object]]]


@dataclass(frozen=True, slots=True)
class Operation:
    """How one operation is executed. `idempotent`: after a restart it may simply be done again.

    `lasts`: it mostly waits, or can't wait, so it takes none of the places of those that work.
    `rests`: all of it ends with the grant it rests on; else it sees to that itself.
    """

    handler: Handler
    idempotent: bool
    deadline_s: float
    lasts: bool
    rests: bool


@dataclass(frozen=True, slots=True)
class _Taken:
    """What became of an order at the disk; not written yet when it is known, or wants a permit."""

    command: Command
    known: journal.Entry | None
    refusal: CommandError | None = None
    is_written: bool = False


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An order that waits for its turn; `was_begun` before a restart, perhaps."""

    command: Command
    was_begun: bool = False


class Commands(Service):
    """The box's commands: `register` the operations, hand `handle` to the uplink, `run` it.

    `step` takes what is no order but a step inside a lease. `permits`, when set, must let pass what
    comes from the center; whoever stands at the box answers for himself.
    """

    name = "commands"

    def __init__(
        self,
        clock: Clock,
        db: Database,
        signatures: Signatures,
        audit: Audit,
        answer: Answer,
        nonce: Callable[[], str] = lambda: "",
        step: Callable[[bytes], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(clock)
        self._step = step
        self.permits: Permits | None = None
        self.at_grant_end: list[Callable[[str], None]] = []  # told each grant that ends
        self._db, self._signatures, self._audit = db, signatures, audit
        self._answers, self._nonce = Answers(clock, answer), nonce
        self._operations: dict[str, Operation] = {}
        self._turned_down = TurnedDown(clock)
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue()  # _MOST_WAITING, then refused
        self._forgot_mono_s = float("-inf")
        self._tasks: asyncio.TaskGroup | None = None
        self._taking, self._recovered = asyncio.Lock(), asyncio.Event()
        self._log = log.get(self.name)

    @property
    def operations(self) -> tuple[str, ...]:
        """The names of all operations this box can do."""
        return tuple(self._operations)

    def register(
        self,
        op: str,
        handler: Handler,
        *,
        idempotent: bool,
        deadline_s: float = 30.0,
        lasts: bool = False,
        rests: bool = True,
    ) -> None:
        """Let `handler` do `op`. It returns the reply's result or raises `CommandError`."""
        self._operations[op] = Operation(handler, idempotent, deadline_s, lasts, rests)

    async def handle(self, token: bytes) -> None:
        """Take a signed order; returns when it is on the disk or answered. Never raises for it."""
        await self._recovered.wait()
        if self._step is not None and is_step(token):
            await self._step(token)
            return
        try:
            async with self._taking:
                reply = await self._take(lambda: self._verified(token))
        except CommandError as error:
            await self._turn_down(token, error)
            return
        if reply.state is ReplyState.ACCEPTED:
            self._answers.taken(reply.id)
        else:
            await self._answers.say(reply)

    def resting(self, command: Command) -> AbstractAsyncContextManager[None]:
        """What is done inside ends with the grant of an order, if it has one."""
        grant_id = self._rests_on(command)
        if self.permits is None or not grant_id:
            return nullcontext()
        return self.permits.resting(grant_id)

    async def order(self, args: Args, by: Actor, box: str) -> Reply:
        """Do what someone at the box orders, journalled and audited alike; return the end of it."""
        await self._recovered.wait()
        now = self._clock.utc_now()
        at = int(now.timestamp())
        command = Command(
            id=new_ulid(now),
            args=args,
            box=box,
            by=by,
            iat=at,
            nbf=at,
            exp=at + _LOCAL_VALID_S,
            iss=_LOCAL,
            nonce=self._nonce(),
        )
        async with self._taking:
            reply = await self._take(lambda: command)
        while not reply.state.is_final:
            await self._clock.sleep_s(_LOCAL_LOOK_S)
            entry = await self._db.run(lambda connection: journal.find(connection, command.id))
            reply = entry.reply if entry is not None and entry.reply is not None else reply
        return reply

    async def run(self) -> None:
        async with self._taking:
            settled = await self._recover()
        self._recovered.set()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._answers.run())
                for command, reply in settled:
                    tasks.create_task(self._finish(command, reply))
                for _ in range(_MOST_AT_ONCE):
                    tasks.create_task(self._work(tasks))
        finally:
            self._tasks = None

    def _verified(self, token: bytes) -> Command:
        command = self._signatures.verify(token)
        if command.iss == _LOCAL:
            raise CommandError("command.malformed", "No center's name.")
        return command

    async def _take(self, read: Callable[[], Command]) -> Reply:
        """Journal and queue a new order, in one commit; return its first reply.

        `read` is called in the database's thread, since it looks at the keys on the disk: an order
        that needs no grant goes there but once. Raises `CommandError` for what can't be trusted.
        """

        def take(connection: sqlite3.Connection) -> _Taken:
            command = read()
            known = journal.find(connection, command.id)
            if known is not None or self._wants_permit(command):
                return _Taken(command, known)
            refusal = self._refusal(command)
            self._write_down(connection, command, refusal)
            return _Taken(command, None, refusal, is_written=True)

        taken = await self._db.run(take)
        command, refusal = taken.command, taken.refusal
        if taken.known is not None:
            return await self._repeated(taken.known.command, taken.known.reply)
        if not taken.is_written:
            refusal = self._refusal(command) or await self._unpermitted(command)
            await self._db.run(lambda connection: self._write_down(connection, command, refusal))
        if refusal is not None:
            return reply_for(command.id, state_of(refusal), refusal)
        if self._operations[command.op].lasts and self._tasks is not None:
            self._tasks.create_task(self._execute(command))
        else:
            self._waiting.put_nowait(_Waiting(command))
        return Reply(id=command.id, state=ReplyState.ACCEPTED)

    async def _repeated(self, command: Command, known: Reply | None) -> Reply:
        """Answer what was ordered before; what it showed under a grant, it shows no longer."""
        if known is not None and known.result and not await self._still_holds(command):
            over = CommandError("grant.over", "The order was done, and its grant has ended.")
            entry = entry_for(command, "refused", over.code)
            if self._turned_down.is_noted():
                await self._db.run(lambda connection: self._audit.append_in(connection, entry))
            return reply_for(command.id, ReplyState.REFUSED, over)
        return known or self._answers.last(command.id)

    async def _work(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            waiting = await self._waiting.get()
            command = waiting.command
            late = None if waiting.was_begun else self._too_late(command)
            if late is not None:
                await self._finish(command, reply_for(command.id, state_of(late), late))
            elif self._operations[command.op].lasts:
                tasks.create_task(self._execute(command))
            else:
                await self._execute(command)

    def _too_late(self, command: Command) -> CommandError | None:
        """An order that waited behind others until its time was over is not begun any more."""
        try:
            self._signatures.check_time(command, command.nonce)
        except CommandError as error:
            return error if state_of(error) is ReplyState.EXPIRED else None
        return None

    async def _recover(self) -> list[tuple[Command, Reply]]:
        """Return how what a restart interrupted ended; what does no harm is done again."""
        settled: list[tuple[Command, Reply]] = []
        while not self._waiting.empty():
            self._waiting.get_nowait()  # they are in the journal as well
        for command in await self._db.run(journal.interrupted):
            operation = self._operations.get(command.op)
            if operation is not None and operation.idempotent:
                self._waiting.put_nowait(_Waiting(command, was_begun=True))
            elif not await self._still_holds(command):
                over = CommandError("grant.over", "Its grant ended before it could be done.")
                settled.append((command, reply_for(command.id, ReplyState.FAILED, over)))
            else:
                settled.append((command, journal.unknown(command.id)))
        return settled

    async def _execute(self, command: Command) -> None:
        operation = self._operations[command.op]

        async def progress(text: str, result: dict[str, object] | None = None) -> bool:
            return await self._answers.progress(command.id, text, result)

        try:
            rests = self.resting(command) if operation.rests else nullcontext()
            async with asyncio.timeout(operation.deadline_s), rests:
                result = await operation.handler(command, progress)
        except PolesideError as error:
            reply = reply_for(command.id, ReplyState.FAILED, error)
        except TimeoutError:
            late = CommandError("command.too_slow", f"Not done in {operation.deadline_s:g} s.")
            reply = reply_for(command.id, ReplyState.FAILED, late)
        except Exception as error:  # noqa: BLE001  a broken handler must not take the others along
            self._log.error("command handler broke", op=command.op, exc_info=error)
            broken = CommandError("command.broke", f"{type(error).__name__}: {error}")
            reply = reply_for(command.id, ReplyState.FAILED, broken)
        else:
            reply = Reply(id=command.id, state=ReplyState.DONE, result=result)
        await self._finish(command, reply)

    def _refusal(self, command: Command) -> CommandError | None:
        if command.op not in self._operations:
            return CommandError("command.unsupported", f"This box can't do `{command.op}`.")
        if self._waiting.qsize() >= _MOST_WAITING:
            return CommandError("command.busy", "Too many orders wait already.", retryable=True)
        try:
            self._signatures.check_time(command, self._nonce())
        except CommandError as error:
            return error
        return None

    def _wants_permit(self, command: Command) -> bool:
        return (
            self.permits is not None and command.iss != _LOCAL and need_of(command.args) is not None
        )

    async def _unpermitted(self, command: Command) -> CommandError | None:
        if self.permits is None or not self._wants_permit(command):
            return None
        try:
            await self.permits.permit(command)
        except CommandError as error:
            return error
        return None

    def _rests_on(self, command: Command) -> str:
        """Return the grant that an order needs and carries, "" when there is none."""
        return "" if self.permits is None else self.permits.rests_on(command)

    async def _still_holds(self, command: Command) -> bool:
        grant_id = self._rests_on(command)
        return self.permits is None or not grant_id or await self.permits.holds(grant_id)

    async def _turn_down(self, token: bytes, error: CommandError) -> None:
        """Answer what can't be trusted; it is audited, but has no place in the journal."""
        if not self._turned_down.is_noted():
            return
        command_id = claimed_id(token)
        self._log.warning("command refused", command_id=command_id, code=error.code)
        entry = AuditEntry(
            command_id=command_id, op="", actor="", outcome="refused", code=error.code
        )
        await self._db.run(lambda connection: self._audit.append_in(connection, entry))
        if command_id:
            await self._answers.say(reply_for(command_id, ReplyState.REFUSED, error))

    def _surely_s(self, command: Command) -> int:
        """Return a time (Unix) that has come: an order's own, unless a set clock knows better."""
        if self._clock.quality() is TimeQuality.NTP:
            return min(command.iat, int(self._clock.utc_now().timestamp()))
        return 0 if command.iss == _LOCAL else command.iat

    def _journal(self, connection: sqlite3.Connection, command: Command) -> None:
        now_mono_s = self._clock.monotonic_s()
        if now_mono_s - self._forgot_mono_s >= _FORGET_EVERY_S:
            journal.forget(connection, self._surely_s(command))
            self._forgot_mono_s = now_mono_s
        journal.begin(connection, command)

    def _write_down(
        self, connection: sqlite3.Connection, command: Command, refusal: CommandError | None
    ) -> None:
        """A refusal is final, unless it may go away: then the same id may be tried again."""
        if refusal is None:
            self._journal(connection, command)
            self._audit.append_in(connection, entry_for(command, "accepted", ""))
            return
        state = state_of(refusal)
        if not refusal.retryable:
            self._journal(connection, command)
            journal.finish(connection, reply_for(command.id, state, refusal))
        self._audit.append_in(connection, entry_for(command, state.value, refusal.code))

    async def _finish(self, command: Command, reply: Reply) -> None:
        def write(connection: sqlite3.Connection) -> None:
            journal.finish(connection, reply)
            sha256 = str((reply.result or {}).get("sha256", ""))
            entry = entry_for(command, reply.state.value, reply.code, sha256)
            self._audit.append_in(connection, entry)

        while True:
            try:
                await self._db.run(write)
            except StorageError as error:  # a full disk; what was done is not forgotten for it
                self._log.warning("end of an order not on the disk", detail=str(error))
                await self._clock.sleep_s(_AGAIN_S)
            else:
                break
        await self._answers.ended(reply)
