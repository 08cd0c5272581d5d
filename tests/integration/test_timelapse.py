"""Timelapse pictures outlive the ring, and become a film that a browser plays."""

import json
import shutil
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import av
import numpy as np
import pytest

from agent.app.still_keeper import StillKeeper
from agent.buffer.index import Index
from agent.buffer.reading import open_index_reader
from agent.clips import stills, timelapse
from agent.core.errors import StorageError
from agent.settings.model import Settings, TimelapseSettings
from tests.chained_tape import poleside
from tests.fake_clock import ChipClock, FakeClock

BEGAN = datetime(2026, 11, 22, 12, tzinfo=UTC)


def frame(brightness: int) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.full((90, 160, 3), brightness, np.uint8), format="rgb24")


@contextmanager
def keeper_of(folder, clock, now=None, **settings):
    index, told = Index(folder), {"every_s": 600} | settings
    keeper = StillKeeper(
        folder, Settings(timelapse=TimelapseSettings(**told)), now or clock.utc_now, index, clock
    )
    try:
        yield keeper
    finally:
        index.close()


def offer_for(keeper, clock, hours: float):
    for number in range(int(hours * 60)):
        keeper.offer(frame(number % 200), clock.utc_now(), clock.monotonic_s())
        clock.pass_s(60)


def keep_for(folder, hours: float, **settings) -> FakeClock:
    clock = FakeClock(BEGAN)
    with keeper_of(folder, clock, **settings) as keeper:
        offer_for(keeper, clock, hours)
    return clock


def removed(folder) -> list[str]:
    with closing(open_index_reader(folder)) as db:
        return [
            row["detail"]
            for row in db.execute("SELECT detail FROM journal WHERE what = 'stills-removed'")
        ]


def test_one_picture_is_kept_each_ten_minutes(tmp_path):
    keep_for(tmp_path, hours=2)
    kept = list(stills.stills(tmp_path, BEGAN, BEGAN + timedelta(hours=2)))
    assert [still.taken_at - BEGAN for still in kept] == [
        timedelta(minutes=10 * number) for number in range(12)
    ]


def test_old_pictures_are_forgotten(tmp_path):
    clock = keep_for(tmp_path, hours=30, keep_days=0.5)
    (oldest, *_) = stills.stills(tmp_path, BEGAN, clock.utc_now())
    assert clock.utc_now() - oldest.taken_at < timedelta(hours=12 + 4.1)
    assert removed(tmp_path)[0].startswith("age: 24 pictures, ")


def test_while_no_time_is_trusted_none_is_forgotten(tmp_path):
    keep_for(tmp_path, hours=2)
    clock = FakeClock(BEGAN.replace(year=2036))
    with keeper_of(tmp_path, clock, now=lambda: None) as keeper:
        offer_for(keeper, clock, 0.1)
    assert len(list(stills.stills(tmp_path, BEGAN, BEGAN + timedelta(hours=2)))) == 12


def test_none_is_kept_when_it_is_off(tmp_path):
    clock = FakeClock(BEGAN)
    with keeper_of(tmp_path, clock, every_s=0) as keeper:
        offer_for(keeper, clock, 1)
    assert list(stills.stills(tmp_path)) == []


def test_more_than_its_share_thins_the_oldest_first(tmp_path):
    keep_for(tmp_path, hours=12)
    _, size_bytes = stills.size_of(tmp_path)
    disk_bytes = shutil.disk_usage(tmp_path).total
    clock = FakeClock(BEGAN + timedelta(hours=12))
    share = size_bytes / 2 / disk_bytes
    with keeper_of(tmp_path, clock, max_share=share) as keeper:
        offer_for(keeper, clock, 12)
    kept = list(stills.stills(tmp_path))
    assert stills.size_of(tmp_path)[1] <= size_bytes * 0.9  # looked at every 24th picture only
    assert kept[0].taken_at == BEGAN
    ways = [later.taken_at - one.taken_at for one, later in pairwise(kept)]
    assert ways[0] > timedelta(minutes=20)
    assert set(ways[-10:]) == {timedelta(minutes=10)}
    assert all(line.startswith("share: ") for line in removed(tmp_path))


@pytest.mark.parametrize(
    "off", [timedelta(days=730), -timedelta(days=730)], ids=["ahead", "behind"]
)
def test_what_a_wrong_clock_chip_misdated_is_dated_anew(tmp_path, off):
    """Also by the worker that comes after the one that kept it, and only in that boot."""
    clock = ChipClock(BEGAN, off)
    for _ in range(2):
        with keeper_of(tmp_path, clock) as keeper:
            offer_for(keeper, clock, 1)
    assert all(abs(one.taken_at - BEGAN) > timedelta(days=700) for one in stills.stills(tmp_path))
    another = stills.Unproven("an0ther-b00t", 1000.0)
    other = stills.keep(tmp_path, b"", BEGAN - timedelta(days=1), another)
    clock.off = timedelta(0)
    with keeper_of(tmp_path, clock) as keeper:
        offer_for(keeper, clock, 1)
    kept = list(stills.stills(tmp_path, BEGAN, clock.utc_now()))
    assert [one.taken_at - BEGAN for one in kept] == [
        timedelta(minutes=10 * number) for number in range(18)
    ]
    first, *rest = stills.stills(tmp_path)
    assert first.path == other
    assert len(rest) == 18


def test_the_film_plays_from_the_first_to_the_last_picture(tmp_path):
    clock = keep_for(tmp_path, hours=3)
    pictures = list(stills.stills(tmp_path, BEGAN, clock.utc_now()))
    assert timelapse.make_film(pictures, tmp_path / "film.webm") == 18
    with av.open(str(tmp_path / "film.webm")) as film:
        assert film.streams.video[0].codec_context.name == "vp8"
        shown = [one.to_ndarray(format="gray").mean() for one in film.decode(video=0)]
    assert len(shown) == 18
    assert shown[0] < shown[-1]


def test_a_picture_that_can_not_be_read_costs_the_film_one_picture(tmp_path):
    clock = keep_for(tmp_path, hours=2)
    kept = list(stills.stills(tmp_path, BEGAN, clock.utc_now()))
    for torn in (kept[0], kept[5]):
        torn.path.write_bytes(b"")
    kept[7].path.unlink()
    assert timelapse.make_film(kept, tmp_path / "film.webm") == len(kept) - 3
    for one in kept:
        one.path.write_bytes(b"no picture")
    with pytest.raises(StorageError, match="None of the") as failed:
        timelapse.make_film(kept, tmp_path / "none.webm")
    assert failed.value.code == "clip.unreadable"


def test_a_film_that_lacks_pictures_says_how_many(tmp_path):
    clock = keep_for(tmp_path / "cameras" / "gate", hours=2)
    kept = list(stills.stills(tmp_path / "cameras" / "gate", BEGAN, clock.utc_now()))
    film = [
        *("clip", "timelapse", "--camera", "gate", "--data-dir", tmp_path),
        *("--from", BEGAN.isoformat(), "--to", clock.utc_now().isoformat()),
        *("--out", tmp_path / "film.webm"),
    ]
    whole = poleside(*film, "--json")
    assert (whole.returncode, json.loads(whole.stdout)["unreadable"]) == (0, 0)
    kept[1].path.write_bytes(b"")
    done = poleside(*film, "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["pictures"], told["unreadable"]) == (3, len(kept) - 1, 1)
    assert "1 pictures that can't be read" in poleside(*film).stderr


def test_a_film_of_nothing_says_so(tmp_path):
    with pytest.raises(StorageError, match="no timelapse picture"):
        timelapse.make_film([], tmp_path / "film.webm")
