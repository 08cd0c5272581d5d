"""The center's stored messages as incidents: one line for new, updates and end together."""

from collections import OrderedDict
from datetime import datetime

from msgspec import Struct

from agent.simulators.center.view import CenterView, StoredEvent

_KEPT = 100  # incidents; the center itself keeps all


class Incident(Struct, kw_only=True):
    """What the page shows of one incident. `delay_ms` is of its first message, by two clocks."""

    id: str
    site: str
    box: str
    kind: str
    camera_id: str | None
    phase: str
    began: datetime
    ended: datetime | None
    last_at: datetime
    delay_ms: float
    messages: int = 0
    number: int = 0
    labels: tuple[str, ...] = ()
    detail: str | None = None
    code: str | None = None
    is_historical: bool = False
    picture_number: int | None = None


class IncidentBoard:
    """Follows the center's events; asks only for what is new."""

    def __init__(self, center: CenterView) -> None:
        self._center = center
        self._incidents: OrderedDict[str, Incident] = OrderedDict()
        self._pictures: dict[str, bytes] = {}
        self._seen = 0

    async def newest(self) -> list[Incident]:
        """Return incidents, the one that was heard of last first."""
        for stored in reversed(await self._center.events(limit=_KEPT, after=self._seen)):
            if stored.number > self._seen:  # two browsers may ask at once
                self._seen = stored.number
                self._take(stored)
        return list(reversed(self._incidents.values()))

    def picture(self, incident_id: str) -> bytes | None:
        """Return an incident's newest thumbnail."""
        return self._pictures.get(incident_id)

    def _take(self, stored: StoredEvent) -> None:
        event, data = stored.event, stored.event.data
        incident = self._incidents.pop(event.id, None) or _begin(stored)
        self._incidents[event.id] = incident
        incident.phase, incident.ended = event.phase.value, data.ended_at
        incident.last_at, incident.number = event.time, stored.number
        incident.messages += 1
        incident.detail = data.detail or incident.detail
        incident.code = data.code or incident.code
        incident.labels = tuple(sorted({*incident.labels, *(seen.label for seen in data.objects)}))
        if data.picture is not None:
            incident.picture_number = stored.number
            self._pictures[event.id] = data.picture.jpeg
        while len(self._incidents) > _KEPT:
            oldest, _ = self._incidents.popitem(last=False)
            self._pictures.pop(oldest, None)


def _begin(stored: StoredEvent) -> Incident:
    event, data = stored.event, stored.event.data
    return Incident(
        id=event.id,
        site=stored.address.site,
        box=stored.address.box,
        kind=data.kind.value,
        camera_id=None if event.subject == stored.address.box else event.subject,
        phase=event.phase.value,
        began=data.started_at,
        ended=data.ended_at,
        last_at=event.time,
        delay_ms=stored.delay_s * 1000,
        is_historical=event.historical,
    )
