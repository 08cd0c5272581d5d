"""Who was seen while the clock was wrong is found by the true time, once that is known."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import av
import numpy as np
import pytest

from agent.app.sighting_watch import PRUNE_EVERY_S, SightingWatch
from agent.buffer.index import Index
from agent.buffer.recording_clock import RecordingClock
from agent.contract.events import Region
from agent.core.sqlite import migrate_parts, open_writer
from agent.messages.passing import Passing
from agent.messages.vision import TrackedObject
from agent.settings.model import CameraSettings, SightingSettings
from agent.sightings import links, schema
from agent.sightings.dating import Correction, Dating, redate
from agent.sightings.finding import find
from agent.sightings.handover import Handover
from agent.sightings.store import SIGHTINGS_FILE, Sighting, SightingStore, Wanted, search
from tests.fake_clock import ChipClock

BOOTED = datetime(2026, 11, 22, 12, tzinfo=UTC)
OFF = timedelta(days=730, hours=3, seconds=17)
CAMERA = CameraSettings(camera_id="gate", main_url="rtsp://127.0.0.1/")
EITHER_WAY = pytest.mark.parametrize("off", [OFF, -OFF], ids=["ahead", "behind"])


def frame():
    picture = np.full((240, 320, 3), 120, np.uint8)
    picture[60:200, 100:160] = (200, 30, 30)
    return av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")


class Worker:
    """One camera's worker of one boot: its index, its time, and its sightings."""

    def __init__(self, folder, clock, boot="this boot"):
        folder.mkdir(parents=True, exist_ok=True)
        self.clock, self.index, self.passings, self.objects = clock, Index(folder), [], ()
        self.time = RecordingClock(self.index, clock, boot)
        self.watch = SightingWatch(
            CAMERA,
            folder,
            SightingSettings(),
            clock,
            lambda: self.objects,
            tell=self.passings.append,
            now=clock.utc_now,
            time=self.time,
        )
        clock.pass_s(1.0)

    def pass_s(self, seconds):
        for _ in range(seconds):
            self.clock.pass_s(1.0)
            self.watch.look(frame(), self.clock.utc_now(), self.clock.monotonic_s())

    def sees(self, track_id, seconds=4):
        """Let somebody walk by, and return when he truly came."""
        region, came_at = Region(0.3, 0.25, 0.2, 0.5), self.clock._at + timedelta(seconds=1)
        for _ in range(seconds):
            self.objects = (TrackedObject(track_id, "person", 0.9, region),)
            self.pass_s(1)
        self.objects = ()
        self.pass_s(10)
        return came_at

    def learns_the_time(self):
        self.clock.off = timedelta(0)
        self.clock.pass_s(10.0)
        self.time.look()

    def ends(self):
        self.watch.close()
        self.index.close()

    def is_killed(self):
        """Nothing is written any more; what is on the disk stays."""
        if self.watch._store is not None:
            self.watch._store.close()
        self.index.close()


def seen_at(folder, at):
    """Return the tracks that a search finds around a time."""
    near = Wanted(since=at - timedelta(seconds=1), until=at + timedelta(seconds=1))
    return [one.track_id for one in search(folder, near)]


def passing_of(one, camera="gate"):
    return Passing(
        camera_id=camera,
        track_id=one.track_id,
        label="person",
        begin=one.begin,
        last=one.last,
        begin_s=one.begin_s,
        last_s=one.last_s,
        came_at=(0.4, 0.7),
        left_at=(0.4, 0.7),
    )


@EITHER_WAY
def test_who_was_seen_before_the_time_was_proven_is_found_by_the_true_time(tmp_path, off):
    folder, clock = tmp_path / "gate", ChipClock(BOOTED, off)
    worker = Worker(folder, clock)
    came_at = worker.sees(1)
    assert seen_at(folder, came_at) == []
    worker.learns_the_time()
    worker.pass_s(6)
    later = worker.sees(2)
    worker.ends()
    assert (seen_at(folder, came_at), seen_at(folder, later)) == ([1], [2])
    assert {one.end - one.begin for one in search(folder, Wanted())} == {timedelta(seconds=3)}


@EITHER_WAY
def test_who_is_in_view_when_the_time_is_proven_is_seen_once_and_at_the_true_time(tmp_path, off):
    folder, clock = tmp_path / "gate", ChipClock(BOOTED, off)
    worker = Worker(folder, clock)
    came_at = clock._at + timedelta(seconds=1)
    worker.objects = (TrackedObject(1, "person", 0.9, Region(0.3, 0.25, 0.2, 0.5)),)
    worker.pass_s(1)
    worker.learns_the_time()
    worker.sees(1)
    worker.ends()
    assert seen_at(folder, came_at) == [1]
    [one] = search(folder, Wanted())
    assert one.end - one.begin == timedelta(seconds=14)


@EITHER_WAY
@pytest.mark.parametrize("boot", ["this boot", "the next boot"])
def test_a_kill_between_the_recordings_correction_and_theirs_is_made_good_by_who_comes_next(
    tmp_path, off, boot
):
    folder, clock = tmp_path / "gate", ChipClock(BOOTED, off)
    worker = Worker(folder, clock)
    came_at = worker.sees(1)
    worker.learns_the_time()
    worker.is_killed()
    assert seen_at(folder, came_at) == []
    for _ in range(3):
        worker = Worker(folder, clock, boot)
        worker.pass_s(6)
        worker.is_killed()
        assert seen_at(folder, came_at) == [1]


def test_a_boot_that_never_learnt_the_time_is_left_alone_by_anothers_correction(tmp_path):
    folder, clock = tmp_path / "gate", ChipClock(BOOTED, -OFF)
    first = Worker(folder, clock, "first boot")
    wrong = first.sees(1) - OFF
    first.ends()
    clock.mono_s = 10.0
    second = Worker(folder, clock, "second boot")
    came_at = second.sees(2)
    second.learns_the_time()
    second.ends()
    assert (seen_at(folder, wrong), seen_at(folder, came_at)) == ([1], [2])


def test_nothing_goes_for_its_age_by_a_time_it_is_not_dated_by_yet(tmp_path):
    folder, clock = tmp_path / "gate", ChipClock(BOOTED, -OFF)
    worker = Worker(folder, clock)
    came_at = worker.sees(1)
    clock.pass_s(PRUNE_EVERY_S)
    worker.learns_the_time()
    worker.pass_s(6)
    worker.ends()
    assert seen_at(folder, came_at) == [1]


def test_thousands_are_moved_bit_by_bit_and_none_goes_for_its_age_meanwhile(tmp_path):
    """Who moves them is the thread that reads the camera."""
    folder, clock = tmp_path / "gate", ChipClock(BOOTED, -OFF)
    worker, many = Worker(folder, clock), 12_000
    before = SightingStore(folder, keep_days=1e4, max_bytes=1 << 30)  # of a worker of this boot
    wrong = [BOOTED - OFF - timedelta(seconds=n) for n in range(many)]
    before.add([sighting(n, at) for n, at in enumerate(wrong)], Dating("this boot", 0))
    before.close()
    worker.learns_the_time()
    moved = [0]
    for _ in range(4):
        worker.pass_s(5)
        since = Wanted(since=BOOTED - timedelta(days=1), limit=2 * many)
        moved.append(len(search(folder, since)))
    assert moved[-1] == len(search(folder, Wanted(limit=2 * many))) == many
    assert all(0 <= after - so_far < many / 2 for so_far, after in pairwise(moved))
    worker.ends()


@EITHER_WAY
def test_what_was_linked_under_the_old_time_is_found_by_its_subject_under_the_new(tmp_path, off):
    folder, clock = tmp_path / "cameras" / "gate", ChipClock(BOOTED, off)
    worker = Worker(folder, clock)
    came_at = worker.sees(1)
    told = next(one for one in worker.passings if one.is_over)
    with closing(open_writer(tmp_path / "box.db", ())) as box:
        migrate_parts(box, [links.PART])
        links.keep(box, Handover(passing_of(told, "yard"), passing_of(told), 0.9))
    [before] = find(tmp_path, [folder], Wanted())
    worker.learns_the_time()
    worker.ends()
    [one] = find(tmp_path, [folder], Wanted(), subject=before.subject)
    assert abs(one.begin - came_at) < timedelta(seconds=0.1)
    assert (one.number, one.subject, one.told_begin) == (before.number, before.subject, told.begin)


def sighting(track_id, begin):
    way = ((0.5, 0.5),)
    return Sighting(begin, begin + timedelta(seconds=3), track_id, "person", 0.9, 0.4, way)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_cut_short_or_done_again_each_is_moved_once_by_each_later_correction(
    tmp_path, seed
):
    """A cut is a kill before the commit: what was begun is rolled back. Some are moved only."""
    random, path = Random(seed), tmp_path / SIGHTINGS_FILE
    corrections, true, track_id = [], {}, 0
    store = SightingStore(tmp_path, keep_days=1e4, max_bytes=1 << 30)
    for moment in range(1, 60):
        boot, wall = f"boot {moment // 15}", BOOTED + timedelta(minutes=moment)
        done = [one.before_mono_us for one in corrections if one.boot_id == boot]
        act = random.choice(["see", "see", "correct", "redate", "reopen", "cut", "some"])
        if act == "see":
            track_id += 1
            dating = Dating(boot, max(done, default=0))
            store.add([sighting(track_id, wall)], dating)
            true[track_id] = [wall, dating]
        elif act == "correct":
            corrections.append(Correction(boot, moment, random.randint(-(10**15), 10**15)))
        elif act == "redate":
            store.redate(corrections)
        else:
            store.close()
            with closing(sqlite3.connect(path, isolation_level=None)) as db:
                db.execute("BEGIN IMMEDIATE")
                redate(db, corrections, 1_000 if act == "cut" else random.randint(1, 3))
                if act == "some":  # as many as a store moves at once, but there are more
                    db.execute("COMMIT")
            store = SightingStore(tmp_path, keep_days=1e4, max_bytes=1 << 30)
    while store.redate(corrections):
        pass
    store.close()
    found = {one.track_id: one.begin for one in search(tmp_path, Wanted(limit=100))}
    assert found == {
        number: wall
        + timedelta(
            microseconds=sum(
                one.shift_us
                for one in corrections
                if one.boot_id == dating.boot_id and one.before_mono_us > dating.corrected_mono_us
            )
        )
        for number, (wall, dating) in true.items()
    }


def test_a_previous_version_keeps_its_own_beside_and_they_stay_as_they_are(tmp_path):
    path, dating = tmp_path / SIGHTINGS_FILE, Dating("this boot", 5)
    with closing(open_writer(path, schema.MIGRATIONS[:2])) as old:
        old_row(old, 1)
    store = SightingStore(tmp_path, keep_days=30, max_bytes=1 << 30)
    store.add([sighting(2, BOOTED)], dating)
    store.close()
    with closing(open_writer(path, schema.MIGRATIONS[:2])) as old:
        old_row(old, 3)
    store = SightingStore(tmp_path, keep_days=30, max_bytes=1 << 30)
    assert store.redate([Correction("this boot", 6, 10**9)]) == 1
    assert store.prune(BOOTED + timedelta(days=31)) == 3
    store.close()
    assert search(tmp_path, Wanted()) == []


def old_row(db, track_id):
    """Insert as the version before did."""
    db.execute(
        "INSERT INTO sightings (begin_us, lasts_ms, track, label, upper, lower, bag, direction,"
        " height, score, cells, way, speed, model, hat, ground)"
        " VALUES (?,3000,?,'person',0,0,0,0,400,90,1,x'8080',NULL,'',0,NULL)",
        (round(BOOTED.timestamp() * 1e6), track_id),
    )
