"""Orders handed over the counter: files in the run folder, from a technician's command line.

Who may write the run folder may order what lies here, nothing else; it is journalled and audited
like the center's orders. `ask` is the technician's side, `Counter` the core's. Questions
(`agent.commands.questions`) come the same way.
"""

import asyncio
import os
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from agent.commands.outcome import reply_for
from agent.commands.questions import FOLDER, Answer, Answerer, Question, put
from agent.commands.registry import Commands
from agent.contract.commands import Actor, Nuisance, Replay, Reply, ReplyState, Verdict
from agent.contract.ptz_args import CameraAim
from agent.core import log
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.core.errors import CommandError, PolesideError, StorageError
from agent.core.folder_news import FolderNews
from agent.core.ids import new_ulid

_LOOK_EVERY_S = 1.0
_PATIENCE_S = 60.0
_TAKEN = (".order", ".question")
_MOST_BYTES = 64 * 1024


class CounterOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be ordered at the box."""

    args: Replay | Verdict | Nuisance | CameraAim
    user: str


class Counter(Service):
    """Looks for orders; what an earlier process left is thrown away."""

    name = "counter"

    def __init__(self, clock: Clock, commands: Commands, box: str, run_folder: Path) -> None:
        super().__init__(clock)
        self._commands, self._box = commands, box
        self._folder = run_folder / FOLDER
        self._news = FolderNews(self._folder, clock)
        self._log = log.get(self.name)
        self.answerer: Answerer | None = None  # told once the whole box is wired

    async def start(self) -> None:
        await asyncio.to_thread(self._clear)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                self.progressed()
                waiting = await asyncio.to_thread(self._waiting) if self._news.has_come() else []
                for path in waiting:
                    try:
                        content = await asyncio.to_thread(_take, path)
                        if path.suffix == ".question":
                            tasks.create_task(self._answer(path, content))
                            continue
                        order = msgspec.json.decode(content, type=CounterOrder)
                    except (OSError, msgspec.MsgspecError) as error:
                        self._log.warning("order at the counter not understood", reason=str(error))
                        self._news.close()  # if it lies there still it is taken at the next look
                    else:
                        tasks.create_task(self._serve(path, order))
                await self._clock.sleep_s(to_tick_s(self._clock, _LOOK_EVERY_S))

    async def _serve(self, path: Path, order: CounterOrder) -> None:
        by = Actor(user=order.user, role="technician")
        try:
            reply = await self._commands.order(order.args, by, self._box)
        except StorageError as error:  # a full disk does not tell how far it came
            reply = reply_for(path.stem, ReplyState.UNKNOWN, error)
        await asyncio.to_thread(put, path.with_suffix(".reply"), msgspec.json.encode(reply))

    async def _answer(self, path: Path, content: bytes) -> None:
        try:
            question = msgspec.json.decode(content, type=Question)
            value = await self.answerer(question) if self.answerer else None
            answer = Answer(value=Raw(msgspec.json.encode(value)))
        except msgspec.MsgspecError as error:
            answer = Answer(code="counter.not_understood", message=str(error))
        except PolesideError as error:
            answer = Answer(code=error.code, message=error.message, hint=error.hint)
        await asyncio.to_thread(put, path.with_suffix(".answer"), msgspec.json.encode(answer))

    async def stop(self) -> None:
        self._news.close()

    def _waiting(self) -> list[Path]:
        self._news.begin()
        with os.scandir(self._folder) as entries:  # `Path.glob` costs ten times as much
            names = sorted(one.name for one in entries if one.name.endswith(_TAKEN))
        return [self._folder / name for name in names]

    def _clear(self) -> None:
        self._folder.mkdir(exist_ok=True)
        for path in self._folder.iterdir():
            path.unlink()


async def ask(run_folder: Path, order: CounterOrder, clock: Clock, lasts_s: float = 0.0) -> Reply:
    """Hand an order to the running agent and wait for its answer, longer for one that lasts.

    Raises `CommandError` `counter.closed` when no agent takes it.
    """
    path = run_folder / FOLDER / f"{new_ulid(clock.utc_now())}.order"
    answer = path.with_suffix(".reply")
    until_mono_s = clock.monotonic_s() + _PATIENCE_S + lasts_s
    try:
        await asyncio.to_thread(put, path, msgspec.json.encode(order))
        while clock.monotonic_s() < until_mono_s:
            await clock.sleep_s(0.1)
            if answer.exists():
                return msgspec.json.decode(await asyncio.to_thread(_take, answer), type=Reply)
    except OSError as error:
        raise _closed(str(error.strerror)) from error
    path.unlink(missing_ok=True)
    raise _closed("no answer")


def _closed(why: str) -> CommandError:
    return CommandError(
        "counter.closed",
        f"No running agent takes orders in this data folder: {why}.",
        hint="Start the agent, run this as its user, or give the right --data-dir.",
    )


def _take(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES)
    path.unlink()
    return content
