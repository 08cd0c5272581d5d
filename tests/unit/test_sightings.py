"""What was seen is found again by its look, place and time, and what is kept has its bounds."""

from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import pytest

from agent.contract.events import Region
from agent.core.errors import StorageError
from agent.messages.vision import TrackedObject
from agent.rules.zone import contains
from agent.sightings.cells import cells_of_way, cells_of_zone
from agent.sightings.colour import looks_at, name_pixels, plain
from agent.sightings.gatherer import Gatherer
from agent.sightings.store import (
    OnGround,
    Sighting,
    SightingStore,
    Wanted,
    number_before,
    search,
    search_all,
)
from agent.sightings.words import COLOURS, onvif_type

START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
LEFT = ((0.0, 0.0), (0.3, 0.0), (0.3, 1.0), (0.0, 1.0))


def seen(minutes=0, **more):
    at = START + timedelta(minutes=minutes)
    fields = {
        "begin": at,
        "end": at + timedelta(seconds=9),
        "track_id": 7,
        "label": "person",
        "score": 0.8,
        "height": 0.3,
        "way": ((0.1, 0.5), (0.2, 0.6)),
        "upper": "red",
    }
    return Sighting(**fields | more)


def store_in(folder, *sightings, keep_days=30.0, max_bytes=10_000_000):
    folder.mkdir(exist_ok=True)
    store = SightingStore(folder, keep_days=keep_days, max_bytes=max_bytes)
    store.add(sightings)
    return store


def test_a_sighting_comes_back_as_it_was_kept(tmp_path):
    ground = OnGround((1.5, -20.25), (3.0, 4.0), 1.82)
    known = {"bag": "backpack", "hat": "yellow", "speed_mps": 1.25, "ground": ground}
    store_in(tmp_path, seen(jpeg=b"picture", **known)).close()
    [one] = search(tmp_path, Wanted(label="person"))
    assert (one.upper, one.lower, one.bag, one.speed_mps) == ("red", "unknown", "backpack", 1.25)
    assert (one.begin, one.end, one.jpeg) == (START, START + timedelta(seconds=9), b"picture")
    assert np.array(one.way) == pytest.approx(np.array([(0.1, 0.5), (0.2, 0.6)]), abs=0.003)
    assert (one.onvif_type, one.hat, one.ground) == ("Human", "yellow", ground)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), [3, 2, 1, 0]),
        (Wanted(label="Vehicle"), [3]),
        (Wanted(upper="red"), [1, 0]),
        (Wanted(lower="black"), [1]),
        (Wanted(upper="red", since=START + timedelta(seconds=1)), [1]),
        (Wanted(until=START + timedelta(seconds=1)), [0]),
        (Wanted(zone=LEFT), [3, 1, 0]),
        (Wanted(limit=2), [3, 2]),
        (Wanted(upper="pink"), []),
        (Wanted(hat="yellow"), [2]),
        (Wanted(direction="left"), [3, 2]),
        (Wanted(size="small"), [2]),
        (Wanted(size="medium"), [1, 0]),
        (Wanted(size="large", label="car"), [3]),
    ],
)
def test_it_is_found_by_class_colour_size_zone_and_time(tmp_path, wanted, found):
    store_in(
        tmp_path,
        seen(0, track_id=0),
        seen(1, track_id=1, lower="black"),
        seen(
            2,
            track_id=2,
            upper="blue",
            way=((0.9, 0.9),),
            hat="yellow",
            direction="left",
            height=0.1,
        ),
        seen(3, track_id=3, label="car", upper="white", direction="left", height=0.5),
    )
    in_zone = partial(contains, wanted.zone) if wanted.zone else None
    assert [one.track_id for one in search(tmp_path, wanted, in_zone)] == found


def test_several_cameras_are_searched_as_one_and_a_new_one_has_none(tmp_path):
    for number, name in enumerate(("a", "b")):
        store_in(tmp_path / name, seen(number), seen(number + 10))
    folders = [tmp_path / name for name in ("a", "b", "new")]
    found = search_all(folders, Wanted(limit=3))
    assert [one.camera_id for one in found] == ["b", "a", "b"]
    assert number_before(tmp_path / "new", START) == 0
    assert number_before(tmp_path / "a", START) == 0
    assert number_before(tmp_path / "a", START + timedelta(minutes=5)) == 1
    with pytest.raises(StorageError):
        search(tmp_path / "new", Wanted())


def test_what_is_old_or_too_much_goes_and_pictures_go_first(tmp_path):
    store = store_in(tmp_path, seen(-60 * 24 * 40), seen(0), keep_days=30)
    assert store.prune(None) == 0  # what time it is nobody knows
    assert store.prune(START) == 1
    store.close()
    many = [seen(n, jpeg=bytes(3000)) for n in range(3000)]
    store = store_in(tmp_path / "full", *many, max_bytes=2_000_000)
    store.prune(START + timedelta(days=3))
    kept = search(tmp_path / "full", Wanted(limit=5000))
    assert len(kept) == 3000
    assert sum(bool(one.jpeg) for one in kept) < 1000
    assert kept[0].jpeg  # the newest ones keep theirs


def test_what_a_wrong_clock_dated_in_the_future_is_as_old_as_what_came_after_it(tmp_path):
    day = 60 * 24
    store = store_in(tmp_path, seen(730 * day), seen(0), seen(20 * day), keep_days=30)
    assert store.prune(START + timedelta(days=29)) == 0
    assert store.prune(START + timedelta(days=31)) == 2
    store.close()
    assert [one.begin for one in search(tmp_path, Wanted())] == [START + timedelta(days=20)]


def test_a_zone_covers_the_cells_of_every_way_that_touches_it():
    for x in np.linspace(0, 1, 23):
        for y in np.linspace(0, 1, 23):
            if contains(LEFT, (x, y)):
                assert cells_of_way([(x, y)]) & cells_of_zone(LEFT)


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((200, 30, 30), "red"),
        ((30, 60, 190), "blue"),
        ((20, 20, 22), "black"),
        ((240, 240, 238), "white"),
        ((128, 126, 130), "grey"),
        ((240, 220, 40), "yellow"),
        ((40, 150, 60), "green"),
        ((110, 70, 30), "brown"),
        ((250, 140, 30), "orange"),
    ],
)
def test_plain_colours_have_their_names(rgb, name):
    assert COLOURS[name_pixels(np.array([rgb], np.uint8))[0]] == name


def test_upper_and_lower_clothing_are_told_apart_and_a_speck_is_unknown():
    cut = np.zeros((80, 30, 3), np.uint8)
    cut[:40], cut[40:] = (190, 30, 40), (30, 50, 170)
    whole, speck, thing = looks_at([(cut, True), (cut[::20, ::10], True), (cut[40:], False)])
    told = [[COLOURS[plain(one.upper)], COLOURS[plain(one.lower)]] for one in (whole, speck, thing)]
    assert told == [["red", "blue"], ["unknown", "unknown"], ["blue", "unknown"]]


def head(crown, around=(120, 118, 122), tall_px=120):
    """Return a cut of somebody whose head's upper part has this colour."""
    cut = np.full((tall_px, tall_px // 3, 3), around, np.uint8)
    cut[: tall_px // 8, tall_px // 9 : tall_px // 4] = crown
    return cut


@pytest.mark.parametrize(
    ("cut", "told"),
    [
        (head((220, 30, 30)), "red"),
        (head((240, 220, 40)), "yellow"),
        (head((30, 25, 22)), "unknown"),  # black: hair, or a cap
        (head((240, 240, 240)), "unknown"),  # white hair, or a cap
        (head((220, 30, 30), tall_px=60), "unknown"),  # too small to tell
        (head((40, 150, 60), around=(40, 150, 60)), "unknown"),  # grass behind the head
    ],
)
def test_a_hat_is_told_only_where_nothing_else_can_be_meant(cut, told):
    assert COLOURS[looks_at([(cut, True)])[0].hat] == told


def walk(gatherer, *, has_colour=True, label="person", looks=20):
    picture = np.zeros((200, 400, 3), np.uint8)
    picture[:] = (200, 30, 30)
    for n in range(looks):
        person = TrackedObject(
            1,
            label,
            0.8,
            Region(0.1 + 0.02 * n, 0.3, 0.08, 0.5),
            ground_m=(0.2 * n, 7.0),
            speed_mps=0.4,
            height_m=1.7,
        )
        bag = TrackedObject(2, "backpack", 0.5, Region(0.12 + 0.02 * n, 0.4, 0.03, 0.1))
        at_s = n * 0.5
        gatherer.look(
            [person, bag],
            lambda: (picture, has_colour),
            START + timedelta(seconds=at_s),
            at_s,
        )


def test_a_track_becomes_one_sighting_when_it_is_gone():
    gatherer = Gatherer(lambda cut: bytes(cut.shape))
    walk(gatherer)
    assert gatherer.over(9.6) == []
    told = {one.label: one for one in gatherer.over(14.0)}
    person = told["person"]
    assert (person.upper, person.bag, person.direction) == ("red", "backpack", "right")
    assert person.end - person.begin == timedelta(seconds=9.5)
    assert person.speed_mps == pytest.approx(0.4)
    assert person.ground == OnGround((0.0, 7.0), (pytest.approx(3.6), 7.0), 1.7)
    assert person.jpeg
    assert gatherer.over(100.0) == []


def test_who_passes_is_told_once_described_and_once_gone_and_a_long_stay_in_parts():
    told = []
    gatherer = Gatherer(lambda _: b"", told.append, "gate")
    walk(gatherer)
    assert [(one.label, one.is_over) for one in told] == [("person", False), ("backpack", False)]
    parts = gatherer.over(9.6 + 601.0 - 9.5 + 9.5)  # gone, long since
    assert [one.label for one in parts] == ["person", "backpack"]
    person = next(one for one in told if one.is_over and one.label == "person")
    assert person.upper[COLOURS.index("red")] == 1.0
    assert (person.begin, person.height_m) == (START, 1.7)
    gatherer = Gatherer(lambda _: b"", told.append, "gate")
    told.clear()
    walk(gatherer, looks=1300)
    first = gatherer.over(649.5)
    walk_end = gatherer.over(700.0)
    assert [len(first), len(walk_end)] == [2, 0]  # nothing was looked at since
    assert sum(one.is_over for one in told if one.label == "person") == 1


def test_a_grey_picture_tells_no_colour():
    gatherer = Gatherer(lambda _: b"")
    walk(gatherer, has_colour=False)
    assert {one.upper for one in gatherer.over(0.0, all_of_them=True)} == {"unknown"}


def test_classes_have_onvif_words():
    assert [onvif_type(one) for one in ("person", "dog", "kite")] == ["Human", "Animal", "Other"]
