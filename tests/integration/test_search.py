"""Who was seen is found at the box and by order of the center; a standing watch tells who comes."""

import asyncio
import base64
import io
import json
from datetime import UTC, datetime, timedelta

import av
import numpy as np
import pytest
from click.testing import CliRunner

from agent.app.sighting_watch import SightingWatch
from agent.commands.search import SearchHandler
from agent.contract.commands import Actor, Command, Search
from agent.contract.events import Region
from agent.core.clock import SystemClock
from agent.core.errors import CommandError
from agent.local.cli.main import cli
from agent.messages.vision import TrackedObject
from agent.settings.model import CameraSettings, SightingSettings

CAMERA = CameraSettings(camera_id="gate", main_url="rtsp://127.0.0.1/")


def frame_with(colour):
    picture = np.full((240, 320, 3), 120, np.uint8)
    picture[60:200, 100:160] = colour
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")


def walk_by(data_dir, track_id, colour, ago_s=0.0):
    """Let somebody in one colour stand before the camera for three seconds."""
    folder = data_dir / "cameras" / "gate"
    folder.mkdir(parents=True, exist_ok=True)
    clock, frame = SystemClock(), frame_with(colour)
    now = [()]
    watch = SightingWatch(CAMERA, folder, SightingSettings(), clock, lambda: now[0], lambda: "m/1")
    begin_s = clock.monotonic_s()
    for n in range(4):
        region = Region(100 / 320, 60 / 240, 60 / 320, 140 / 240)
        now[0] = (TrackedObject(track_id, "person", 0.8, region),)
        watch.look(frame, datetime.now(UTC) + timedelta(seconds=n - ago_s), begin_s + n)
    watch.close()


@pytest.fixture
def data_dir(tmp_path):
    walk_by(tmp_path, 1, (200, 30, 30), ago_s=60)
    walk_by(tmp_path, 2, (30, 50, 190), ago_s=60)
    return tmp_path


def ask(data_dir, *options):
    told = CliRunner().invoke(cli, ["search", "--data-dir", str(data_dir), "--json", *options])
    return told.exit_code, json.loads(told.stdout)


def test_a_person_is_found_by_colour_with_a_picture_and_a_sheet(data_dir, tmp_path):
    sheet = tmp_path / "sheet.jpg"
    code, answer = ask(data_dir, "--class", "Human", "--upper", "red", "--sheet", str(sheet))
    [one] = answer["found"]
    assert (code, one["track_id"], one["upper"], one["hat"]) == (0, 1, "red", "unknown")
    assert one["model"] == "m/1"
    for jpeg in (base64.b64decode(one["jpeg"]), sheet.read_bytes()):
        with av.open(io.BytesIO(jpeg), format="mjpeg") as picture:
            assert sum(1 for _ in picture.decode(video=0)) == 1


def test_a_size_is_a_word_that_finds_and_is_told(data_dir):
    """They stand 58 % of the picture high."""
    found = ask(data_dir, "--size", "large")[1]["found"]
    assert [one["size"] for one in found] == ["large", "large"]
    assert ask(data_dir, "--size", "medium")[1]["found"] == []


def test_a_zone_decides_and_nonsense_is_explained(data_dir):
    assert len(ask(data_dir, "--zone", "0.3,0.7 0.6,0.7 0.6,1 0.3,1")[1]["found"]) == 2
    assert ask(data_dir, "--zone", "0.8,0.0 1,0.0 1,0.2")[1]["found"] == []
    code, answer = ask(data_dir, "--zone", "here")
    assert (code, answer["code"]) == (1, "search.zone")


def order(**args):
    now = int(datetime.now(UTC).timestamp())
    return Command(
        id="01JD8Z3V7K5M2Q9W4R6T8Y0B1C",
        args=Search(**args),
        box="box-1",
        by=Actor(user="kim"),
        iat=now,
        nbf=now,
        exp=now + 30,
        iss="center",
    )


class Told:
    """The center: hears what is told while it is there."""

    def __init__(self):
        self.said, self.is_away, self.missed = asyncio.Queue(), False, asyncio.Event()

    async def __call__(self, text, result=None):
        if self.is_away:
            self.missed.set()
            return False
        await self.said.put((text, result))
        return True


async def test_the_centers_order_finds_without_moving_video(data_dir):
    handler = SearchHandler(data_dir, SystemClock())
    answer = await handler(order(label="person", lower="blue", size="large"), Told())
    assert [one["track_id"] for one in answer["found"]] == [2]
    assert len(json.dumps(answer)) < 128 * 1024
    with pytest.raises(CommandError) as caught:
        await handler(order(camera_id="other"), Told())
    assert caught.value.code == "camera.unknown"


async def test_a_standing_watch_tells_who_comes_and_ends(data_dir):
    handler, told = SearchHandler(data_dir, SystemClock(), look_every_s=0.05), Told()
    asked = order(upper="red", watch_s=30.0, incident_id="case-1")
    watching = asyncio.create_task(handler(asked, told))
    try:
        async with asyncio.timeout(30):
            assert (await told.said.get())[0] == "watching"
            await asyncio.to_thread(walk_by, data_dir, 3, (30, 50, 190))  # not the one
            await asyncio.to_thread(walk_by, data_dir, 4, (200, 30, 30))
            text, result = await told.said.get()
        assert (text, result["incident_id"]) == ("seen", "case-1")
        assert [one["track_id"] for one in result["found"]] == [4]
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    ended = await handler(order(upper="green", watch_s=0.1, incident_id="case-1"), told)
    assert ended == {"incident_id": "case-1", "found_total": 0}


async def test_a_watch_loses_nobody_to_a_dead_line_a_restart_or_a_rush(data_dir):
    handler, told = SearchHandler(data_dir, SystemClock(), look_every_s=0.05), Told()
    asked = order(upper="red", watch_s=60.0, incident_id="case-1", limit=2)
    watching = asyncio.create_task(handler(asked, told))
    async with asyncio.timeout(60):
        assert (await told.said.get())[0] == "watching"
        told.is_away = True
        for track_id in (11, 12, 13):
            await asyncio.to_thread(walk_by, data_dir, track_id, (200, 30, 30))
        await told.missed.wait()
        told.is_away = False
        assert await seen(told, 3) == [11, 12, 13]
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

        await asyncio.to_thread(walk_by, data_dir, 14, (200, 30, 30))  # nobody watches now
        again = Told()
        watching = asyncio.create_task(handler(asked, again))
        assert (await again.said.get())[0] == "watching"
        assert (await seen(again, 4))[-1] == 14
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def seen(told, count):
    """Return the tracks told, once they are so many."""
    tracks = []
    while len(tracks) < count:
        _, result = await told.said.get()
        tracks += [one["track_id"] for one in result["found"]]
    return tracks


def test_a_watch_needs_an_incident():
    with pytest.raises(ValueError, match="incident_id"):
        Search(watch_s=60.0)
