"""Changes of settings, the center's and the technician's: checked, stored, applied, on trial.

A retained order is heard again at each connection, so it is known by its version. The document is
laid over the technician's file and what he set at the page (`local.json`); a bad key is left out
alone (`agent.settings.sift`), and counts once it fits. What is wanted lies in `desired.json` (the
supervisor reads both), what became of it in `box.db`: first what to go back to, then the files,
then the outcome. After a crash in between the change is on trial all the same, and the same order
comes again and changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec import structs

from agent.commands.config_state import (
    ConfigState,
    at_start,
    problems_of,
    state_in,
    write_state,
)
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
from agent.core.db import Database
from agent.core.errors import SettingsError
from agent.core.whole_file import write_whole
from agent.settings import history
from agent.settings.diff import SettingsDiff, diff
from agent.settings.in_effect import damaged, stored
from agent.settings.load import (
    SIGNED_FILE,
    Layers,
    merge_patch,
    refuse_audio,
    refuse_undesirable,
    write_desired,
    write_local,
)
from agent.settings.model import Settings
from agent.settings.sift import LeftOut, Sifted, sift
from agent.settings.trial import Trial, Verdict

_LOOK_EVERY_S = 5.0
_NO_CAMERAS = "It would leave this box without any camera."
_HINT_NO_CAMERAS = "If that is meant, send a configuration that says so by `no_cameras`."

Apply = Callable[[Settings, SettingsDiff], Awaitable[None]]
Audited = Callable[[Settings, Settings, Actor | None], Awaitable[None]]


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
        self._wanted = Layers({}, {})
        self._found = Sifted(self._wanted, settings, ())
        self._damaged: tuple[LeftOut, ...] = ()
        self._state = ConfigState()
        self._trial: Trial | None = None
        self._ready, self._changing = asyncio.Event(), asyncio.Lock()
        self._log = log.get(self.name)

    def report(self) -> ConfigReport:
        """Return what became of the last order."""
        state = self._state
        return ConfigReport(
            version=state.version,
            hash=settings_hash(self._found.layers.desired),
            status=state.status,
            errors=state.errors,
            on_trial=self._trial is not None,
            t=self._clock.utc_now(),
        )

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """What is wanted at the page or by the center and not in effect, since it does not fit."""
        return (*self._damaged, *self._found.left_out)

    async def start(self) -> None:
        self._wanted = await asyncio.to_thread(stored, self._data_dir)
        self._damaged = await asyncio.to_thread(damaged, self._data_dir)
        self._found = sift(self._table, self._wanted)
        self._state = await self._db.run(state_in)
        if self._state.good is not None:  # the box restarted: the trial begins anew
            self._begin_trial(frozenset(self._state.worked), needs_word=self._state.needs_word)
        await self._remember("start", "box")
        now = at_start(self._state, self.left_out, has_some=bool(self._found.layers.desired))
        if now != self._state:
            await self._decide(now)
        self._ready.set()

    async def run(self) -> None:
        waits = self._state.waits
        if waits is not None and not self._without_cameras(waits):
            async with self._changing:
                await self._take_fitting(waits)
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
            layers, found = self._with(Layers({}, patch))
            if self.settings.cameras and not found.settings.cameras:
                raise SettingsError("config.no_cameras", _NO_CAMERAS, hint=_HINT_NO_CAMERAS)
            state = structs.replace(self._state, waits=None)
            return await self._use(layers, found, state, by)

    async def set_here(
        self, patch: dict[str, Any], by: Actor, *, needs_word: bool = False
    ) -> SettingsDiff:
        """Lay a technician's change over his file; all or nothing. Raises `SettingsError`.

        `needs_word`: it is taken back unless `confirm` is called within `LOST_S`.
        """
        await self._ready.wait()
        async with self._changing:
            refuse_audio(patch)
            layers, found = self._with(Layers(patch, {}))
            if found.settings == self.settings:
                alone = (replace(each, desired={}) for each in (layers, self._wanted))
                before, after = (sift(self._table, each).settings for each in alone)
                if before == after:
                    return diff(found.settings, found.settings)
                raise SettingsError(
                    "settings.overruled",
                    "The center's configuration says otherwise.",
                    hint="Ask the center to change it there.",
                )
            return await self._use(layers, found, self._state, by, needs_word=needs_word)

    async def restore(self, number: int, by: Actor) -> SettingsDiff:
        """Set what was set at the page back to a version's. Raises `SettingsError`."""
        await self._ready.wait()
        version = await asyncio.to_thread(history.version_of, self._data_dir, number)
        async with self._changing:
            layers = replace(self._wanted, local=history.back_to(version, self._wanted.local))
            replace(self._found.layers, local=layers.local).over(self._table)  # as a whole, or not
            return await self._use(layers, sift(self._table, layers), self._state, by)

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
        emptied = self._without_cameras(desired)
        if emptied or not await self._take_fitting(desired):
            left_out = sift(self._table, replace(self._wanted, desired=desired.settings)).left_out
            problems = problems_of(left_out)
            state = self._refused(desired.version, (*emptied, *problems))
            await self._decide(structs.replace(state, waits=desired if problems else None))

    async def _take_fitting(self, desired: Desired) -> bool:
        """Apply what of a document fits; False: nothing does, and what was wanted before stays."""
        layers = replace(self._wanted, desired=desired.settings)
        found = sift(self._table, layers)
        problems = problems_of(found.left_out)
        if problems and not found.layers.desired:
            return False
        status = ConfigStatus.PARTLY if problems else ConfigStatus.APPLIED
        state = ConfigState(version=desired.version, status=status, errors=problems)
        await self._use(layers, found, state, desired.by)
        return True

    def _with(self, change: Layers) -> tuple[Layers, Sifted]:
        """Lay a change over what is wanted, and see that all of it fits. Raises `SettingsError`."""
        kept = _merged(self._found.layers, change)
        settings = kept.over(self._table)
        wanted = _merged(self._wanted, change)
        found = sift(self._table, wanted)
        known = {(one.is_local, one.path) for one in self._found.left_out}
        if {(one.is_local, one.path) for one in found.left_out} <= known:
            return wanted, found
        return kept, Sifted(kept, settings, ())  # against what is left out the newer word counts

    def _refusal(self, desired: Desired) -> ConfigProblem | None:
        if desired.hash != settings_hash(desired.settings):
            text = "`hash` is not that of `settings`."
            return ConfigProblem(path="$", code="config.bad_hash", message=text)
        if desired.base < self._state.version:
            text = f"Made on version {desired.base}, but {self._state.version} came meanwhile."
            return ConfigProblem(path="$", code="config.conflict", message=text)
        return None

    def _without_cameras(self, desired: Desired) -> tuple[ConfigProblem, ...]:
        """Nothing would be recorded any more, and a trial counts no camera that was removed.

        Where nothing of it fits all stays as it is, for reasons of its own.
        """
        if desired.no_cameras or not self.settings.cameras:
            return ()
        found = sift(self._table, replace(self._wanted, desired=desired.settings))
        if found.settings.cameras or (problems_of(found.left_out) and not found.layers.desired):
            return ()
        return (ConfigProblem(path="$.cameras", code="config.no_cameras", message=_NO_CAMERAS),)

    def _refused(self, version: int, errors: tuple[ConfigProblem, ...]) -> ConfigState:
        """Nothing of it counts; a change that is on trial stays on trial."""
        return structs.replace(
            self._state, version=version, status=ConfigStatus.REFUSED, errors=errors, waits=None
        )

    async def _use(
        self,
        layers: Layers,
        found: Sifted,
        state: ConfigState,
        by: Actor,
        *,
        needs_word: bool = False,
    ) -> SettingsDiff:
        """Put `layers` in effect, on trial against what works now (or worked before a trial)."""
        change, before = diff(self.settings, found.settings), self._state
        if change.sections:
            worked = self._trial.worked if self._trial else self._works()
            worked -= {f"camera/{camera_id}" for camera_id in change.removed}
            needs_word = needs_word or bool(self._trial and self._trial.needs_word)
            state = structs.replace(
                state,
                good=self._wanted.desired if before.good is None else before.good,
                good_local=self._wanted.local if before.good is None else before.good_local,
                worked=tuple(sorted(worked)),
                needs_word=needs_word,
            )
            # Before the file: killed between both, the next start still knows what to go back to.
            trial = structs.replace(
                state, version=before.version, status=before.status, errors=before.errors
            )
            await self._db.run(lambda connection: write_state(connection, trial))
            self._begin_trial(worked, needs_word=needs_word)
        elif self._trial is not None:
            state = structs.replace(
                state,
                good=before.good,
                good_local=before.good_local,
                worked=before.worked,
                needs_word=before.needs_word,
            )
        await self._put(layers, found, change, state, by)
        return change

    def _begin_trial(self, worked: frozenset[str], *, needs_word: bool) -> None:
        self._trial = Trial(worked, self._clock.monotonic_s(), needs_word)

    async def _put(
        self,
        layers: Layers,
        found: Sifted,
        change: SettingsDiff,
        state: ConfigState,
        by: Actor | None = None,
    ) -> None:
        await asyncio.to_thread(self._store, layers)
        await self._audit(self.settings, found.settings, by)
        self._wanted, self._found, self.settings = layers, found, found.settings
        self._damaged = await asyncio.to_thread(damaged, self._data_dir)
        await self._remember("change" if by else "taken back", by.user if by else "box")
        await self._apply(found.settings, change)
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
        found = sift(self._table, good)
        state = ConfigState(
            version=self._state.version, status=ConfigStatus.ROLLED_BACK, errors=(problem,)
        )
        await self._put(good, found, diff(self.settings, found.settings), state)

    async def _decide(self, state: ConfigState) -> None:
        self._state = state
        await self._db.run(lambda connection: write_state(connection, state))
        await self._tell(self.report())

    async def _remember(self, why: str, by: str) -> None:
        layers = self._found.layers
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

    def _store(self, layers: Layers) -> None:
        if layers.local != self._wanted.local:
            write_local(self._data_dir, layers.local)
        write_desired(self._data_dir, layers.desired)


def _merged(layers: Layers, change: Layers) -> Layers:
    """Lay a change over the layers. A null takes back what was set here; the center's removes."""
    return Layers(
        merge_patch(layers.local, change.local),
        merge_patch(layers.desired, change.desired, keeps_nulls=True),
    )
