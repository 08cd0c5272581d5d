"""What a center has stored, as lines for a terminal; reads beside the running center."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from agent.contract.events import Event
from agent.core.sqlite import open_reader
from agent.simulators.center import evidence

MOST_DOUBTS = 1000


def lines(data_dir: Path, after: int, *, as_json: bool) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of each event stored after `after`, oldest first."""
    with closing(open_reader(data_dir / "center.db")) as db:
        rows = db.execute(
            "SELECT number, received_at, body FROM records"
            " WHERE number > ? AND type LIKE 'edge.event.%' ORDER BY number",
            (after,),
        ).fetchall()
    for row in rows:
        yield row["number"], _line(row["received_at"], row["body"], as_json=as_json)


def doubt_lines(data_dir: Path, after: int, *, as_json: bool) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of each doubt about a box's audit chain or evidence after `after`."""
    with closing(open_reader(data_dir / "center.db")) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'doubts'").fetchone():
            return  # a center of an earlier version made it
        found = list(reversed(evidence.doubts(db, MOST_DOUBTS, after)))
    for doubt in found:
        source, what = doubt.address.source, f"DOUBT {doubt.code}: {doubt.detail}"
        words = f"{doubt.at.isoformat()}  {source}  {what}"
        yield doubt.number, msgspec.json.encode(doubt).decode() if as_json else words


def _line(received_at: str, body: bytes, *, as_json: bool) -> str:
    event = msgspec.json.decode(body, type=Event)
    if as_json:
        without = msgspec.structs.replace(
            event, data=msgspec.structs.replace(event.data, picture=None)
        )
        return msgspec.json.encode(without).decode()
    who = ", ".join(f"{thing.label} {thing.score:.2f}" for thing in event.data.objects)
    why = event.data.end_reason or event.data.detail or ""
    return (
        f"{received_at}  {event.source}  {event.subject}  {event.data.kind.value}"
        f" {event.phase.value}  {who}{why}"
    )
