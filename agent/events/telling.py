"""Each word on an incident is one record in the outbox, in the caller's transaction."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from agent.contract.events import (
    CapStatus,
    Event,
    EventData,
    Phase,
    StreamName,
    source_of,
    type_of,
)
from agent.core.clock import Clock
from agent.core.errors import StorageError
from agent.events.happening import Happening

LATE_S = 60.0  # told so long after it happened, an event is marked historical
ANOTHER_BOOT_S = 1.0  # a monotonic time so far ahead of now is of an earlier boot


class AppendIn(Protocol):
    """The outbox, as far as incidents need it (see `agent.outbox`)."""

    def __call__(
        self,
        connection: sqlite3.Connection,
        stream: StreamName,
        build: Callable[[int], bytes],
        *,
        event_id: str,
        phase: str = "new",
        true_mono_s: float | None = None,
    ) -> int: ...


@dataclass(frozen=True, slots=True)
class Origin:
    """Who speaks: goes into every record's envelope."""

    site: str
    box: str
    boot: int
    epoch: Callable[[], str]
    status: CapStatus


class Telling:
    """Puts events into the outbox."""

    def __init__(self, append: AppendIn, origin: Origin, clock: Clock) -> None:
        self._append, self._origin, self._clock = append, origin, clock

    def tell(
        self,
        connection: sqlite3.Connection,
        event_id: str,
        what: Happening,
        phase: Phase,
        data: EventData,
    ) -> None:
        """Append one event; one too large goes without its pictures. Raises `StorageError`."""
        origin = self._origin

        def build(seq: int) -> bytes:
            event = Event(
                id=event_id,
                source=source_of(origin.site, origin.box),
                type=type_of(what.kind),
                subject=what.subject,
                time=what.at,
                seq=seq,
                stream=what.stream,
                epoch=origin.epoch(),
                boot=origin.boot,
                mono=what.mono_s,
                tq=what.tq,
                phase=phase,
                data=data,
                historical=self._is_late(what),
            )
            return msgspec.json.encode(event)

        try:
            self._append(
                connection,
                what.stream,
                build,
                event_id=event_id,
                phase=phase.value,
                true_mono_s=what.mono_s,
            )
        except StorageError as error:
            if error.code != "outbox.too_large" or not (data.picture or data.crop):
                raise
            less = {"crop": None} if data.crop else {"picture": None}
            self.tell(connection, event_id, what, phase, msgspec.structs.replace(data, **less))

    def _is_late(self, what: Happening) -> bool:
        age_s = self._clock.monotonic_s() - what.mono_s
        return age_s > LATE_S or age_s < -ANOTHER_BOOT_S
