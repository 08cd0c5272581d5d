"""`search`: who and what was seen, without moving video; and a standing watch for it.

A watch is the same order kept open: each new sighting that fits is told as progress, until its
time is over. What the center could not be told while it was away is told later; after a restart of
the box all since the order is told, for it does no harm to tell one twice.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from agent.buffer.reading import camera_folder
from agent.commands.registry import Progress
from agent.contract.commands import Command, Search
from agent.core.clock import Clock
from agent.core.errors import CommandError
from agent.rules.zone import contains
from agent.sightings.finding import find
from agent.sightings.store import Sighting, Wanted, number_before
from agent.sightings.telling import facts_of

WATCH_DEADLINE_S = 24 * 3600.0 + 60.0
LOOK_EVERY_S = 5.0
_PICTURE_BYTES = 60_000  # of one reply; the rest is told without


class SearchHandler:
    """Reads what the cameras' workers have kept."""

    def __init__(self, data_dir: Path, clock: Clock, *, look_every_s: float = LOOK_EVERY_S) -> None:
        self._data_dir, self._clock, self._look_every_s = data_dir, clock, look_every_s

    async def __call__(self, command: Command, progress: Progress) -> dict[str, object]:
        args = command.args
        if not isinstance(args, Search):
            raise CommandError("command.wrong_handler", f"{command.op} is no search.")
        cameras = [args.camera_id] if args.camera_id else self._cameras()
        if args.camera_id and not self._folder_of(args.camera_id).is_dir():
            raise CommandError("camera.unknown", f"There is no camera {args.camera_id}.")
        if args.watch_s:
            return await self._watch(command, args, cameras, progress)
        found = await asyncio.to_thread(self._search, cameras, _wanted(args), args.subject)
        return {"found": told(found)}

    async def _watch(
        self, command: Command, args: Search, cameras: Sequence[str], progress: Progress
    ) -> dict[str, object]:
        """Tell what comes, until `watch_s` after the order was given."""
        left_s = command.iat + args.watch_s - self._clock.utc_now().timestamp()
        until_s = self._clock.monotonic_s() + min(left_s, args.watch_s)
        begin = datetime.fromtimestamp(command.iat, UTC)
        last = {
            one: await asyncio.to_thread(number_before, self._folder_of(one), begin)
            for one in cameras
        }
        total = 0
        await progress("watching", {"incident_id": args.incident_id})
        while self._clock.monotonic_s() < until_s:
            await self._clock.sleep_s(self._look_every_s)
            for camera_id in cameras:
                wanted = replace(_wanted(args), after_number=last[camera_id], oldest_first=True)
                found = await asyncio.to_thread(self._search, [camera_id], wanted, args.subject)
                if not found:
                    continue
                facts: dict[str, object] = {"incident_id": args.incident_id, "found": told(found)}
                if await progress("seen", facts) is not False:  # else the center is away
                    last[camera_id] = max(one.number for one in found)
                    total += len(found)
        return {"incident_id": args.incident_id, "found_total": total}

    def _folder_of(self, camera_id: str) -> Path:
        return camera_folder(self._data_dir, camera_id)

    def _cameras(self) -> list[str]:
        return sorted(path.name for path in (self._data_dir / "cameras").glob("*"))

    def _search(self, cameras: Sequence[str], wanted: Wanted, subject: str) -> list[Sighting]:
        in_zone = partial(contains, wanted.zone) if wanted.zone else None
        folders = [self._folder_of(one) for one in cameras]
        return find(self._data_dir, folders, wanted, in_zone, subject)


def told(found: Sequence[Sighting]) -> list[dict[str, object]]:
    """Return facts for a reply; pictures of the newest, as many as a message may carry."""
    left, facts = _PICTURE_BYTES, list[dict[str, object]]()
    for one in found:
        own = facts_of(one)
        if one.jpeg and len(one.jpeg) <= left:
            left -= len(one.jpeg)
            own["jpeg"] = base64.b64encode(one.jpeg).decode()
        facts.append(own)
    return facts


def _wanted(args: Search) -> Wanted:
    return Wanted(
        label=args.label,
        upper=args.upper,
        lower=args.lower,
        bag=args.bag,
        hat=args.hat,
        size=args.size,
        direction=args.direction,
        since=args.start_at,
        until=args.end_at,
        zone=args.zone,
        limit=args.limit,
    )
