"""A drawn walk past two cameras: search and incidents say it is the same person, where it is sure.

Drawn people, the box's own colours, index, links, incidents, and its search command. SYNTHETIC.
"""

import asyncio
import json
from dataclasses import dataclass

import av
import numpy as np
import pytest
from click.testing import CliRunner

from agent.app.handover_watch import HandoverWatch
from agent.app.sighting_watch import SightingWatch
from agent.app.worker_hub import WorkerHub
from agent.commands.search import SearchHandler
from agent.contract.commands import Actor, Command, Search
from agent.contract.events import Phase, Region
from agent.local.cli.main import cli
from agent.messages import worker
from agent.messages.vision import HitState, TrackedObject
from agent.settings.model import CameraSettings, Settings, SightingSettings
from agent.sightings import links
from tests.incident_box import IncidentBox

RED, BLUE, GREEN, BLACK = (190, 30, 40), (30, 50, 190), (40, 150, 60), (20, 20, 22)
CAMERAS = tuple(
    CameraSettings(camera_id=name, main_url="rtsp://127.0.0.1/") for name in ("gate", "yard")
)


@dataclass
class Walker:
    """Walks past a camera from one second to another, in these clothes."""

    camera: str
    track_id: int
    from_s: int
    until_s: int
    upper: tuple = RED
    lower: tuple = BLUE
    lane: float = 0.2

    def region(self, at_s):
        return Region(0.1 + 0.5 * (at_s - self.from_s) / 10, self.lane, 0.12, 0.35)


def frame_of(walkers, at_s):
    picture = np.full((240, 320, 3), 130, np.uint8)
    for one in walkers:
        r = one.region(at_s)
        columns = slice(int(r.x * 320), int((r.x + r.width) * 320))
        top, foot = int(r.y * 240), int((r.y + r.height) * 240)
        picture[top : (top + foot) // 2, columns] = one.upper
        picture[(top + foot) // 2 : foot, columns] = one.lower
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")


class Street:
    """Two cameras with their indexes, and the core's part of one box; second by second."""

    def __init__(self, folder, box):
        self.folder, self.box, self.passings = folder, box, []
        self.hub = WorkerHub(folder / "s", box.clock, box.assembler.take, box.assembler.saw)
        settings = Settings(cameras=CAMERAS)
        self.watch = HandoverWatch(box.db, self.hub, box.assembler, settings, box.clock)
        self.seen = {camera.camera_id: () for camera in CAMERAS}
        self.eyes = {}
        for camera in CAMERAS:
            own = folder / "cameras" / camera.camera_id
            own.mkdir(parents=True)
            self.eyes[camera.camera_id] = SightingWatch(
                camera,
                own,
                SightingSettings(),
                box.clock,
                lambda name=camera.camera_id: self.seen[name],
                tell=lambda passing: self.passings.append(worker.encode(passing)),
            )

    async def show(self, walkers, seconds, hits=()):
        """Let the walk happen; `hits` are (second, camera, state, track id)."""
        running = asyncio.create_task(self.watch.run())
        try:
            for at_s in range(seconds):
                for name, eyes in self.eyes.items():
                    here = [
                        one
                        for one in walkers
                        if one.camera == name and one.from_s <= at_s <= one.until_s
                    ]
                    self.seen[name] = tuple(
                        TrackedObject(one.track_id, "person", 0.9, one.region(at_s)) for one in here
                    )
                    now = self.box.clock.utc_now(), self.box.clock.monotonic_s()
                    eyes.look(frame_of(here, at_s), *now)
                for hit_s, camera, state, track_id in hits:
                    if hit_s == at_s:
                        thing = TrackedObject(track_id, "person", 0.9, Region(0.1, 0.2, 0.1, 0.3))
                        await self.box.took(state, camera=camera, objects=(thing,))
                for payload in self.passings:
                    await self.hub.on_passing(worker.decode_to_core(payload))
                self.passings.clear()
                await self.box.clock.advance(1.0)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            for eyes in self.eyes.values():
                eyes.close()

    def found(self, *options):
        folder = ("--data-dir", str(self.folder), "--json")
        told = CliRunner().invoke(cli, ["search", *folder, "--class", "person", *options])
        assert told.exit_code == 0, told.output
        return json.loads(told.stdout)["found"]


@pytest.fixture
async def street(tmp_path):
    async with IncidentBox(tmp_path) as box:
        yield Street(tmp_path, box)


WALK = (Walker("gate", 1, 2, 12), Walker("yard", 5, 22, 32))


async def test_search_says_that_both_tracks_are_of_one_subject_and_finds_them_by_it(street):
    await street.show(WALK, 50)
    yard, gate = street.found()
    assert (gate["camera_id"], gate["track_id"]) == ("gate", 1)
    assert gate["subject"] == yard["subject"] is not None
    assert 0.5 < yard["subject_certainty"] < 1
    assert street.found("--subject", yard["subject"]) == [yard, gate]
    assert street.found("--subject", "01ANOTHER") == []
    learned = await street.box.db.run(links.travel_times)
    assert learned == {("gate", "yard"): [pytest.approx(10.0)]}


async def test_the_centers_order_finds_a_subject_too(street):
    await street.show(WALK, 50)
    subject = street.found()[0]["subject"]
    handler = SearchHandler(street.folder, street.box.clock)
    answer = await handler(order(subject=subject), None)
    assert [one["camera_id"] for one in answer["found"]] == ["yard", "gate"]
    assert {one["subject"] for one in answer["found"]} == {subject}


async def test_incidents_at_both_cameras_tell_the_subject_also_one_that_has_ended(street):
    hits = [
        (5, "gate", HitState.BEGAN, 1),
        (9, "gate", HitState.ENDED, 1),
        (25, "yard", HitState.BEGAN, 5),
        (40, "yard", HitState.CONTINUES, 5),
    ]
    await street.show(WALK, 50, hits)
    [subject] = {one["subject"] for one in street.found()}
    events = await street.box.told()
    named = [one for one in events if one.data.objects[0].subject]
    assert {one.data.objects[0].subject for one in named} == {subject}
    assert {(one.subject, one.phase) for one in named} == {
        ("gate", Phase.END),
        ("yard", Phase.UPDATE),
    }
    assert len({one.id for one in events}) == 2  # linked, not merged


async def test_a_link_is_taken_back_everywhere_when_another_as_like_comes(street):
    hits = [(25, "yard", HitState.BEGAN, 5)]
    stays = Walker("yard", 5, 22, 36)
    await street.show([WALK[0], stays, Walker("yard", 6, 34, 44, lane=0.6)], 70, hits)
    told = [one.data.objects[0].subject for one in await street.box.told()]
    assert told[0] is None
    assert told[1] is not None
    assert told[-1] is None
    assert {one["subject"] for one in street.found()} == {None}


async def test_two_likes_side_by_side_stay_apart_and_so_does_who_comes_too_late(street):
    twins = [
        Walker("gate", 1, 2, 12),
        Walker("gate", 2, 2, 12, lane=0.6),
        Walker("yard", 5, 22, 32),
        Walker("yard", 6, 22, 32, lane=0.6),
    ]
    late = [
        Walker("gate", 7, 120, 130, GREEN, BLACK),
        Walker("yard", 8, 200, 210, GREEN, BLACK),
    ]
    await street.show(twins + late, 230)
    found = street.found()
    assert len(found) == 6
    assert {one["subject"] for one in found} == {None}


async def test_two_who_look_different_are_told_apart(street):
    walkers = [
        Walker("gate", 1, 2, 12),
        Walker("gate", 2, 2, 12, GREEN, BLACK, lane=0.6),
        Walker("yard", 5, 22, 32, GREEN, BLACK),
        Walker("yard", 6, 23, 33, lane=0.6),
    ]
    await street.show(walkers, 50)
    subjects = {one["track_id"]: one["subject"] for one in street.found()}
    assert subjects[1] == subjects[6] is not None
    assert subjects[2] == subjects[5] is not None
    assert subjects[1] != subjects[2]


def order(**args):
    return Command(
        id="01JD8Z3V7K5M2Q9W4R6T8Y0B1C",
        args=Search(**args),
        box="box-1",
        by=Actor(user="kim"),
        iat=1,
        nbf=1,
        exp=2,
        iss="center",
    )
