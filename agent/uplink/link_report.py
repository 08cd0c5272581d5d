"""How the link does, as a small file in the run folder: for `poleside link` beside the agent."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from agent.contract.events import UtcTime
from agent.contract.telemetry import DataSample
from agent.core.clock import Clock, to_tick_s, utc_at
from agent.core.component import Service
from agent.uplink.link import Link
from agent.uplink.sender import Sender

LINK_FILE = "link.json"
_WRITE_EVERY_S = 5.0


class LinkReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One moment of the link. `t` is when it was written; old means that no agent runs."""

    t: UtcTime
    connected: bool
    since: UtcTime
    endpoint: str = ""
    line: str = ""
    mqtt: str = ""
    refused: str = ""
    connects_total: int = 0
    center_online: bool = False
    has_twin: bool = False
    unheard_s: float = 0.0
    puback_ms: float | None = None
    ack_ms: float | None = None
    error: str = ""
    data: DataSample | None = None


class LinkReporter(Service):
    """Writes the file every five seconds; the run folder may be lost at any time."""

    name = "uplink.report"

    def __init__(
        self,
        clock: Clock,
        link: Link,
        sender: Sender,
        run_folder: Path,
        data: Callable[[], DataSample | None] = lambda: None,
    ) -> None:
        super().__init__(clock)
        self._link, self._sender, self._data = link, sender, data
        self._path = run_folder / LINK_FILE

    async def run(self) -> None:
        while True:
            with suppress(OSError):  # a full disk is told by others; this is only for looking
                await asyncio.to_thread(_write, self._path, msgspec.json.encode(self._report()))
            self.progressed()
            await self._clock.sleep_s(to_tick_s(self._clock, _WRITE_EVERY_S))

    def _report(self) -> LinkReport:
        status = self._link.status
        return LinkReport(
            t=self._clock.utc_now(),
            connected=status.connected,
            since=utc_at(self._clock, status.since_mono_s),
            endpoint=status.endpoint,
            line=status.line,
            mqtt=status.mqtt,
            refused=status.refused,
            connects_total=status.connects_total,
            center_online=status.connected and self._sender.center_online,
            has_twin=status.has_twin,
            unheard_s=round(self._sender.unheard_s, 1),
            puback_ms=status.puback_ms,
            ack_ms=self._sender.ack_ms,
            error=str(status.error) if status.error else "",
            data=self._data(),
        )


def read_report(run_folder: Path) -> LinkReport | None:
    """Return what was written last, None when there is nothing to read."""
    try:
        return msgspec.json.decode((run_folder / LINK_FILE).read_bytes(), type=LinkReport)
    except (OSError, msgspec.MsgspecError):
        return None


def _write(path: Path, content: bytes) -> None:
    scratch = path.with_suffix(".tmp")
    scratch.write_bytes(content)
    scratch.replace(path)
