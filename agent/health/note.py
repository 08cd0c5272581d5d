"""The box's light and faults as a small file in memory, for who can't or may not ask its page.

The core writes it every few seconds; `poleside health`, and through it the image's health gate,
reads it where the page needs a login, listens at a cable's address, or is off.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from agent.core import log
from agent.core.clock import Clock, boot_id, to_tick_s
from agent.core.component import Service
from agent.health.fault import Fault, light

_FILE = "health.json"
_EVERY_S, _FRESH_S = 5.0, 30.0


class NotedFault(Struct, frozen=True, kw_only=True):
    """A fault in the words of the page."""

    code: str
    light: str
    sentence_en: str
    sentence_ko: str
    hint_en: str
    hint_ko: str
    camera_id: str | None = None


class HealthNote(Struct, frozen=True, kw_only=True):
    """How the box was at `mono_s` of the boot `boot`; `works`: link, and each recorded camera."""

    boot: str
    mono_s: float
    light: str
    faults: tuple[NotedFault, ...] = ()
    works: tuple[str, ...] | None = None


class HealthNotes(Service):
    """Writes the file to `folder`, which is in memory."""

    name = "health-note"

    def __init__(
        self,
        clock: Clock,
        folder: Path,
        faults: Callable[[], Sequence[Fault]],
        boot: str = "",
        works: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        super().__init__(clock)
        self._works = works
        self._file, self._faults, self._boot = folder / _FILE, faults, boot or boot_id()

    async def run(self) -> None:
        while True:
            await asyncio.to_thread(self._write, self._note())
            self.progressed()
            await self._clock.sleep_s(to_tick_s(self._clock, _EVERY_S))

    def _note(self) -> HealthNote:
        faults = tuple(self._faults())
        return HealthNote(
            boot=self._boot,
            mono_s=self._clock.monotonic_s(),
            light=light(faults).value,
            faults=tuple(_noted(fault) for fault in faults),
            works=tuple(sorted(self._works())),
        )

    def _write(self, note: HealthNote) -> None:
        scratch = self._file.with_suffix(".tmp")
        try:
            scratch.write_bytes(msgspec.json.encode(note))
            scratch.replace(self._file)
        except OSError as error:
            log.get(self.name).debug("health not noted", detail=str(error))


def read(folder: Path, clock: Clock, boot: str = "") -> HealthNote | None:
    """Return what the running agent noted last, None when it is none or not of now."""
    try:
        note = msgspec.json.decode((folder / _FILE).read_bytes(), type=HealthNote)
    except (OSError, msgspec.MsgspecError):
        return None
    is_fresh = 0 <= clock.monotonic_s() - note.mono_s <= _FRESH_S
    return note if is_fresh and note.boot == (boot or boot_id()) else None


def _noted(fault: Fault) -> NotedFault:
    subject, _, camera_id = fault.subject.partition("/")
    return NotedFault(
        code=fault.code,
        light=fault.severity.value,
        sentence_en=fault.sentence_en,
        sentence_ko=fault.sentence_ko,
        hint_en=fault.hint_en,
        hint_ko=fault.hint_ko,
        camera_id=camera_id if subject == "camera" else None,
    )
