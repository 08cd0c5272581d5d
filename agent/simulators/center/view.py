"""What the center's page may see and do. `Center` fulfils it; the page is built against it.

All methods run in the center's event loop. Lists are newest first.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from agent.contract.commands import Actor, Args, Reply
from agent.contract.config import ConfigReport
from agent.contract.events import Event
from agent.contract.info import Info
from agent.contract.presence import State
from agent.contract.ptz import PtzStep
from agent.contract.telemetry import Telemetry
from agent.contract.topics import BoxAddress


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One stored message of an incident's life (the picture is in `event.data.picture`).

    `number` grows by one with each stored event. `delay_s` is from the event's `time` to storing,
    by two clocks. `redelivered` is how often it came again and was discarded.
    """

    number: int
    address: BoxAddress
    event: Event
    received_at: datetime
    delay_s: float
    redelivered: int


@dataclass(frozen=True, slots=True)
class StreamCount:
    """One stream of one box: all numbers up to `upto` are accounted for, `missing` never came.

    `missing_why` counts them by the box's reasons (`GapReason`).
    """

    stream: str
    epoch: str
    upto: int
    stored: int
    redelivered: int
    missing: int
    missing_why: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Something in a box's stream `u` that does not fit, at its record `seq`."""

    number: int
    address: BoxAddress
    seq: int
    at: datetime
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class AuditState:
    """A box's audit chain: how many entries were checked, and how many doubts there are."""

    entries: int
    doubts: int


@dataclass(frozen=True, slots=True)
class BoxView:
    """One box as the center sees it. `since` is when it last came or went.

    `online`: connected, or gone for so short a time that it does not count, and heard as often as
    it promised. `has_twin`: two boxes use this id. `config` is what it made of its settings,
    `audit` how its audit chain stands, None before its first entry.
    """

    address: BoxAddress
    online: bool
    since: datetime | None
    state: State | None
    info: Info | None
    telemetry: Telemetry | None
    telemetry_at: datetime | None
    streams: tuple[StreamCount, ...]
    config: ConfigReport | None = None
    audit: AuditState | None = None
    has_twin: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """One connection of a box; what lies between two of them is a gap. `until` None: it lasts."""

    boot: int
    conn: int
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Upload:
    """A file a box has sent after a command. `path` is the file at the center."""

    name: str
    command_id: str
    content_type: str
    size_bytes: int
    sha256: str
    received_at: datetime
    path: Path


class CenterView(Protocol):
    """The center, seen from its page."""

    async def events(self, limit: int = 50, after: int = 0) -> list[StoredEvent]:
        """Return the newest `limit` events with a `number` above `after`."""
        ...

    async def boxes(self) -> list[BoxView]:
        """Return all boxes ever heard of, by address."""
        ...

    async def doubts(self, limit: int = 20) -> list[Doubt]:
        """Return the newest of what does not fit in the boxes' audit chains and evidence."""
        ...

    def link(self) -> str:
        """Return "" while the center is connected to its broker, else what is wrong, in words."""
        ...

    async def changed(self, known: int) -> int:
        """Wait until something changed since `known` (start with 0); return the new count."""
        ...

    def command(
        self, address: BoxAddress, args: Args, by: Actor, *, valid_s: float = 30.0
    ) -> AsyncIterator[Reply]:
        """Sign and send an order; yield the box's replies, the final one last.

        Snapshot and clip orders with an empty `upload_url` are given one here. When the box does
        not answer while the order is valid, the last reply is `expired` with code
        `command.no_answer`.
        """
        ...

    async def steer(
        self, address: BoxAddress, camera_id: str, by: Actor, step: PtzStep
    ) -> Reply | None:
        """Move a camera by one step of a lease; all zero stops it. `seq` is set here.

        The lease is asked for when there is none or it ends soon: then the reply that grants or
        refuses it is returned, else None. Raises `LinkError`.
        """
        ...

    async def sessions(self, address: BoxAddress, limit: int = 50) -> list[Session]:
        """Return a box's newest connections; what lies between them are its gaps."""
        ...

    async def uploads(self, limit: int = 50) -> list[Upload]:
        """Return the newest files that boxes sent."""
        ...

    async def upload_of(self, command_id: str) -> Upload | None:
        """Return the file that came for a command, or None."""
        ...
