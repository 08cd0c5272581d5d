"""Changes of settings, the center's and the technician's: checked, stored, applied, on trial.

A retained order is heard again at each connection, so it is known by its version. The document is
laid over the technician's file and what he set at the page (`local.json`); a bad key is left out
alone. What is in effect lies in `desired.json` (the supervisor reads both), what became of it in
`box.db`: first what to go back to, then the files, then the outcome. After a crash in between the
change is on trial all the same, and the same order comes again and changes nothing.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from agent.commands.signature import Signatures
from agent.contract.commands import Actor
from agent.contract.config import (
    ConfigProblem,
    ConfigReport,
    ConfigStatus,
    Desired,
    settings_hash,
)
from agent.core import log
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.core.db import Database, Part
from agent.core.errors import SettingsError
from agent.core.whole_file import write_whole
from agent.settings import history
from agent.settings.diff import SettingsDiff, diff
from agent.settings.load import (
    DESIRED_FILE,
    REFUSED_FILE,
    SIGNED_FILE,
    merge_patch,
    read_desired,
    read_local,
    refuse_audio,
    refuse_undesirable,
    with_desired,
    with_local,
    write_desired,
    write_local,
)
from agent.settings.model import Settings
from agent.settings.sift import sift
from agent.settings.trial import Trial, Verdict

PART = Part("config", ["CREATE TABLE config_state (body BLOB NOT NULL)"])
_LOOK_EVERY_S = 5.0

Apply = Callable[[Settings, SettingsDiff], Awaitable[None]]
Audited = Callable[[Settings, Settings, Actor | None], Awaitable[None]]


class ConfigState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was decided last. While on trial, `good` and `good_local` are what to go back to."""

    version: int = 0
    status: ConfigStatus = ConfigStatus.NONE
    errors: tuple[ConfigProblem, ...] = ()
    good: dict[str, Any] | None = None
    good_local: dict[str, Any] | None = None
    worked: tuple[str, ...] = ()
    needs_word: bool = False


@dataclass(frozen=True, slots=True)
class Layers:
    """What lies over the technician's file: set at the page, and wanted by the center."""

    local: dict[str, Any]
    desired: dict[str, Any]

    def over(self, table: dict[str, Any]) -> Settings:
        """Return the whole, validated. Raises `SettingsError`."""
        return with_desired(with_local(table, self.local), self.desired)


class DesiredConfig(Service):
    """Holds the present settings; `apply` hands a change to the processes it touches.

    `works` names what works now (see `Trial`); `tell` publishes the report. `audit` is told of a
    change (old, new, who) before it takes effect; nobody ordered one that the box takes back.
    """

    name = "desired-config"

    def __init__(
        self,
        clock: Clock,
        db: Database,
        signatures: Signatures,
        table: dict[str, Any],
        settings: Settings,
        data_dir: Path,
        *,
        apply: Apply,
        works: Callable[[], frozenset[str]],
        tell: Callable[[ConfigReport], Awaitable[None]],
        audit: Audited,
    ) -> None:
        super().__init__(clock)
        self._audit = audit
        self._db, self._signatures = db, signatures
        self._table, self._data_dir = table, data_dir
        self._apply, self._works, self._tell = apply, works, tell
        self.settings = settings
        self._layers = Layers({}, {})
        self._state = ConfigState()
        self._trial: Trial | None = None
        self._ready, self._changing = asyncio.Event(), asyncio.Lock()
        self._log = log.get(self.name)

    def report(self) -> ConfigReport:
        """Return what became of the last order."""
        state = self._state
        return ConfigReport(
            version=state.version,
            hash=settings_hash(self._layers.desired),
            status=state.status,
            errors=state.errors,
            on_trial=self._trial is not None,
            t=self._clock.utc_now(),
        )

    async def start(self) -> None:
        self._layers = await asyncio.to_thread(self._stored)
        self._state = await self._db.run(state_in)
        if self._state.good is not None:  # the box restarted: the trial begins anew
            self._begin_trial(frozenset(self._state.worked), needs_word=self._state.needs_word)
        await self._remember("start", "box")
        if await asyncio.to_thread(self._was_set_aside):
            self._trial = None
            await self._decide(ConfigState(
                version=self._state.version,
                status=ConfigStatus.REFUSED,
                errors=(ConfigProblem(
                    path="$",
                    code="settings.set_aside",
                    message="The stored changes do not fit the box's file; the file alone counts.",
                ),),
            ))  # fmt: skip
        self._ready.set()

    async def run(self) -> None:
        while True:
            self.progressed()
            await self._clock.sleep_s(to_tick_s(self._clock, _LOOK_EVERY_S))
            async with self._changing:
                await self._look()

    async def handle(self, token: bytes) -> None:
        """Take a signed `dn/cfg`. Raises `CommandError` for one that is not the center's."""
        await self._ready.wait()
        desired = await asyncio.to_thread(self._signatures.verify_config, token)
        async with self._changing:
            if desired.version > self._state.version:
                await asyncio.to_thread(write_whole, self._data_dir / SIGNED_FILE, token, 0o600)
                await self._take(desired)

    async def patch(self, patch: dict[str, Any], by: Actor) -> SettingsDiff:
        """Lay one more change over what is in effect; all or nothing. Raises `SettingsError`."""
        await self._ready.wait()
        async with self._changing:
            refuse_undesirable(patch)
            refuse_audio(patch)
            desired = merge_patch(self._layers.desired, patch)
            layers = replace(self._layers, desired=desired)
            return await self._use(layers, layers.over(self._table), self._state, by)

    async def set_here(
        self, patch: dict[str, Any], by: Actor, *, needs_word: bool = False
    ) -> SettingsDiff:
        """Lay a technician's change over his file; all or nothing. Raises `SettingsError`.

        `needs_word`: it is taken back unless `confirm` is called within `LOST_S`.
        """
        await self._ready.wait()
        async with self._changing:
            refuse_audio(patch)
            layers = replace(self._layers, local=merge_patch(self._layers.local, patch))
            settings = layers.over(self._table)
            if settings == self.settings:
                alone = (replace(each, desired={}) for each in (layers, self._layers))
                before, after = (each.over(self._table) for each in alone)
                if before == after:
                    return diff(settings, settings)
                raise SettingsError(
                    "settings.overruled",
                    "The center's configuration says otherwise.",
                    hint="Ask the center to change it there.",
                )
            return await self._use(layers, settings, self._state, by, needs_word=needs_word)

    async def restore(self, number: int, by: Actor) -> SettingsDiff:
        """Set what was set at the page back to a version's. Raises `SettingsError`."""
        await self._ready.wait()
        version = await asyncio.to_thread(history.version_of, self._data_dir, number)
        async with self._changing:
            layers = replace(self._layers, local=history.back_to(version, self._layers.local))
            return await self._use(layers, layers.over(self._table), self._state, by)

    async def confirm(self) -> bool:
        """Take a person's word that a change is right. False: nothing waits for it."""
        async with self._changing:
            if self._trial is None or not self._trial.needs_word:
                return False
            self._trial.needs_word = False
            await self._decide(structs.replace(self._state, needs_word=False))
            return True

    @property
    def confirm_within_s(self) -> float | None:
        """How long there is to confirm the change on trial; None: nothing waits for a word."""
        if self._trial is None or not self._trial.needs_word:
            return None
        return self._trial.left_s(self._clock.monotonic_s())

    async def _take(self, desired: Desired) -> None:
        """Decide on a new version: apply what fits, or say why nothing does."""
        refusal = self._refusal(desired)
        if refusal is not None:
            await self._decide(self._refused(desired.version, (refusal,)))
            return
        found = sift(with_local(self._table, self._layers.local), desired.settings)
        problems = tuple(
            ConfigProblem(path=left.path, code=left.error.code, message=left.error.message)
            for left in found.left_out
        )
        if problems and not found.desired:
            await self._decide(self._refused(desired.version, problems))
            return
        status = ConfigStatus.PARTLY if problems else ConfigStatus.APPLIED
        state = ConfigState(version=desired.version, status=status, errors=problems)
        layers = replace(self._layers, desired=found.desired)
        await self._use(layers, found.settings, state, desired.by)

    def _refusal(self, desired: Desired) -> ConfigProblem | None:
        if desired.hash != settings_hash(desired.settings):
            text = "`hash` is not that of `settings`."
            return ConfigProblem(path="$", code="config.bad_hash", message=text)
        if desired.base < self._state.version:
            text = f"Made on version {desired.base}, but {self._state.version} came meanwhile."
            return ConfigProblem(path="$", code="config.conflict", message=text)
        return None

    def _refused(self, version: int, errors: tuple[ConfigProblem, ...]) -> ConfigState:
        """Nothing of it counts; a change that is on trial stays on trial."""
        return structs.replace(
            self._state, version=version, status=ConfigStatus.REFUSED, errors=errors
        )

    async def _use(
        self,
        layers: Layers,
        settings: Settings,
        state: ConfigState,
        by: Actor,
        *,
        needs_word: bool = False,
    ) -> SettingsDiff:
        """Put `layers` in effect, on trial against what works now (or worked before a trial)."""
        change, before = diff(self.settings, settings), self._state
        if change.sections:
            worked = self._trial.worked if self._trial else self._works()
            worked -= {f"camera/{camera_id}" for camera_id in change.removed}
            needs_word = needs_word or bool(self._trial and self._trial.needs_word)
            state = structs.replace(
                state,
                good=self._layers.desired if before.good is None else before.good,
                good_local=self._layers.local if before.good is None else before.good_local,
                worked=tuple(sorted(worked)),
                needs_word=needs_word,
            )
            # Before the file: killed between both, the next start still knows what to go back to.
            trial = structs.replace(
                state, version=before.version, status=before.status, errors=before.errors
            )
            await self._db.run(lambda connection: _write(connection, trial))
            self._begin_trial(worked, needs_word=needs_word)
        elif self._trial is not None:
            state = structs.replace(
                state,
                good=before.good,
                good_local=before.good_local,
                worked=before.worked,
                needs_word=before.needs_word,
            )
        await self._put(layers, settings, change, state, by)
        return change

    def _begin_trial(self, worked: frozenset[str], *, needs_word: bool) -> None:
        self._trial = Trial(worked, self._clock.monotonic_s(), needs_word)

    async def _put(
        self,
        layers: Layers,
        settings: Settings,
        change: SettingsDiff,
        state: ConfigState,
        by: Actor | None = None,
    ) -> None:
        await asyncio.to_thread(self._store, layers)
        await self._audit(self.settings, settings, by)
        self._layers, self.settings = layers, settings
        await self._remember("change" if by else "taken back", by.user if by else "box")
        await self._apply(settings, change)
        await self._decide(state)

    async def _look(self) -> None:
        trial, state = self._trial, self._state
        if trial is None or state.good is None:
            return
        works = self._works()
        verdict = trial.look(works, self._clock.monotonic_s())
        if verdict is Verdict.KEPT:
            self._trial = None
            with suppress(OSError):
                await asyncio.to_thread(history.mark_good, self._data_dir)
            await self._decide(structs.replace(state, good=None, good_local=None, worked=()))
        elif verdict is Verdict.LOST:
            lost = ", ".join(sorted(trial.worked - works))
            problem = ConfigProblem(
                path="$", code="config.lost", message=f"Lost by the change: {lost}"
            )
            if trial.needs_word:
                text = "Nobody confirmed the change in time."
                problem = ConfigProblem(path="$", code="config.unconfirmed", message=text)
            await self._roll_back(Layers(state.good_local or {}, state.good), problem)

    async def _roll_back(self, good: Layers, problem: ConfigProblem) -> None:
        self._log.warning("change taken back", why=problem.message, version=self._state.version)
        self._trial = None
        try:
            settings = good.over(self._table)
        except SettingsError:  # the technician's file changed meanwhile
            good = Layers({}, {})
            settings = good.over(self._table)
        state = ConfigState(
            version=self._state.version, status=ConfigStatus.ROLLED_BACK, errors=(problem,)
        )
        await self._put(good, settings, diff(self.settings, settings), state)

    async def _decide(self, state: ConfigState) -> None:
        self._state = state
        await self._db.run(lambda connection: _write(connection, state))
        await self._tell(self.report())

    async def _remember(self, why: str, by: str) -> None:
        layers = self._layers
        version = history.Version(
            number=0,
            at=self._clock.utc_now(),
            by=by,
            why=why,
            table=self._table,
            local=layers.local,
            desired=layers.desired,
        )
        try:
            await asyncio.to_thread(history.add, self._data_dir, version)
            if self._trial is None:
                await asyncio.to_thread(history.mark_good, self._data_dir)
        except OSError as error:  # what is in effect counts; its history can be done without
            self._log.warning("no history of the settings", reason=str(error))

    def _stored(self) -> Layers:
        return Layers(read_local(self._data_dir), read_desired(self._data_dir))

    def _store(self, layers: Layers) -> None:
        if layers.local != self._layers.local:
            write_local(self._data_dir, layers.local)
        write_desired(self._data_dir, layers.desired)
        (self._data_dir / REFUSED_FILE).unlink(missing_ok=True)

    def _was_set_aside(self) -> bool:
        return (self._data_dir / REFUSED_FILE).exists() and not (
            self._data_dir / DESIRED_FILE
        ).exists()


def state_in(connection: sqlite3.Connection) -> ConfigState:
    """Return what a box's database says of its settings."""
    row = connection.execute("SELECT body FROM config_state").fetchone()
    return ConfigState() if row is None else msgspec.json.decode(row["body"], type=ConfigState)


def _write(connection: sqlite3.Connection, state: ConfigState) -> None:
    connection.execute("DELETE FROM config_state")
    connection.execute("INSERT INTO config_state (body) VALUES (?)", (msgspec.json.encode(state),))
