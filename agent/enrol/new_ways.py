"""A new way to the center (authorities, keys, broker addresses) on trial, as it came signed.

The old files lie in `keys/before/` until the link has stood by the new ones for five minutes; when
it is lost that long, they come back (but for the center's keys: the link does not hang on them,
and the center signs with them by now), and the same offer is not taken again. `identity.json` is
copied there last and removed first: while it is there, the trial is on, whatever dies meanwhile.
"""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent.contract.enrolment import Grant
from agent.core import log
from agent.core.clock import Clock, to_tick_s
from agent.core.component import Service
from agent.core.errors import EnrolError
from agent.core.whole_file import write_whole
from agent.enrol.identity import Identity, IdentityFiles
from agent.settings.trial import Trial, Verdict

LOOK_EVERY_S = 5.0
_LINK = frozenset({"link"})


class NewWays(Service):
    """Watches the trial. `use` connects the link anew; `link_is_up` is asked."""

    name = "enrol.new-ways"

    def __init__(
        self,
        clock: Clock,
        data_dir: Path,
        *,
        use: Callable[[Identity], None],
        link_is_up: Callable[[], bool],
    ) -> None:
        super().__init__(clock)
        self._files = IdentityFiles.in_data_dir(data_dir)
        self._before = IdentityFiles(self._files.folder / "before")
        self._refused = self._files.folder / "refused-grant"
        self._use, self._link_is_up = use, link_is_up
        self._trial: Trial | None = None
        self._log = log.get(self.name)

    @property
    def on_trial(self) -> bool:
        """Whether the present way may still be taken back."""
        return self._before.identity.exists()

    def is_new(self, grant: Grant) -> bool:
        """Say whether `grant` changes the way to the center, and was not found wanting before."""
        offered = _way(grant)
        return offered != self._present() and _digest(offered) != self._last_refused()

    def adopt(self, grant: Grant, center_url: str) -> None:
        """Put `grant` in effect, on trial. Blocks. Raises `EnrolError` enrol.storage."""
        try:
            if not self.on_trial:
                self._before.folder.mkdir(mode=0o700, exist_ok=True)
                _copy(self._files, self._before)
        except OSError as error:
            raise EnrolError("enrol.storage", f"It can't be stored: {error.strerror}.") from error
        self._files.store(grant, center_url)
        self._trial = None  # the watch begins a new one

    async def run(self) -> None:
        while True:
            self.progressed()
            if self.on_trial:
                await self._look()
            await self._clock.sleep_s(to_tick_s(self._clock, LOOK_EVERY_S))

    async def _look(self) -> None:
        now_s = self._clock.monotonic_s()
        if self._trial is None:
            self._trial = Trial(_LINK, now_s)
            await self._connect_anew()
            return
        verdict = self._trial.look(_LINK if self._link_is_up() else frozenset(), now_s)
        if verdict is Verdict.KEPT:
            await asyncio.to_thread(self._end_trial)
            self._log.info("the new way to the center is kept")
        elif verdict is Verdict.LOST:
            await asyncio.to_thread(self._go_back)
            await self._connect_anew()
            self._log.warning("no connection by the new way to the center: back to the old one")

    async def _connect_anew(self) -> None:
        identity = await asyncio.to_thread(self._files.read)
        if identity is not None:
            self._use(identity)

    def _go_back(self) -> None:
        write_whole(self._refused, _digest(self._present()).encode())
        keys = self._files.center_keys.read_bytes()  # the link does not hang on them; they stay
        write_whole(self._before.center_keys, keys)
        _copy(self._before, self._files)
        self._end_trial()

    def _end_trial(self) -> None:
        self._trial = None
        for path in reversed(_parts(self._before)):  # the identity goes first
            path.unlink(missing_ok=True)

    def _present(self) -> bytes:
        identity = self._files.read()
        urls = () if identity is None else identity.broker_urls
        files = self._files
        authorities = (files.broker_ca, files.center_ca, files.center_keys)
        return msgspec.json.encode([urls, *(path.read_text("utf-8") for path in authorities)])

    def _last_refused(self) -> str:
        try:
            return self._refused.read_text("ascii")
        except OSError:
            return ""


def _way(grant: Grant) -> bytes:
    return msgspec.json.encode(
        [grant.broker_urls, grant.broker_ca, grant.center_ca, grant.center_keys]
    )


def _digest(way: bytes) -> str:
    return hashlib.sha256(way).hexdigest()


def _parts(files: IdentityFiles) -> list[Path]:
    return [
        files.certificate,
        files.broker_ca,
        files.center_ca,
        files.center_keys,
        files.identity,
    ]


def _copy(source: IdentityFiles, target: IdentityFiles) -> None:
    for old, new in zip(_parts(source), _parts(target), strict=True):
        write_whole(new, old.read_bytes())
