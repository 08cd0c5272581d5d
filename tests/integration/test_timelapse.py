"""Timelapse pictures outlive the ring, and become a film that a browser plays."""

from datetime import UTC, datetime, timedelta

import av
import numpy as np
import pytest

from agent.app.still_keeper import StillKeeper
from agent.clips import timelapse
from agent.core.errors import StorageError
from agent.settings.model import TimelapseSettings
from tests.fake_clock import FakeClock

BEGAN = datetime(2026, 11, 22, 12, tzinfo=UTC)


def frame(brightness: int) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.full((90, 160, 3), brightness, np.uint8), format="rgb24")


def keep_for(folder, hours: float, **settings) -> FakeClock:
    clock = FakeClock(BEGAN)
    keeper = StillKeeper(folder, TimelapseSettings(every_s=600, **settings), clock.utc_now)
    for number in range(int(hours * 60)):
        keeper.offer(frame(number % 200), clock.utc_now(), clock.monotonic_s())
        clock.pass_s(60)
    return clock


def test_one_picture_is_kept_each_ten_minutes(tmp_path):
    keep_for(tmp_path, hours=2)
    kept = list(timelapse.stills(tmp_path, BEGAN, BEGAN + timedelta(hours=2)))
    assert [still.taken_at - BEGAN for still in kept] == [
        timedelta(minutes=10 * number) for number in range(12)
    ]


def test_old_pictures_are_forgotten(tmp_path):
    clock = keep_for(tmp_path, hours=30, keep_days=0.5)
    (oldest, *_) = timelapse.stills(tmp_path, BEGAN, clock.utc_now())
    assert clock.utc_now() - oldest.taken_at < timedelta(hours=12 + 4.1)


def test_while_no_time_is_trusted_none_is_forgotten(tmp_path):
    keep_for(tmp_path, hours=2)
    keeper = StillKeeper(tmp_path, TimelapseSettings(), lambda: None)
    keeper.offer(frame(10), BEGAN.replace(year=2036), 1.0)
    assert len(list(timelapse.stills(tmp_path, BEGAN, BEGAN + timedelta(hours=2)))) == 12


def test_none_is_kept_when_it_is_off(tmp_path):
    keeper = StillKeeper(tmp_path, TimelapseSettings(every_s=0), lambda: BEGAN)
    keeper.offer(frame(10), BEGAN, 1.0)
    assert list(timelapse.stills(tmp_path, BEGAN, BEGAN + timedelta(days=1))) == []


def test_the_film_plays_from_the_first_to_the_last_picture(tmp_path):
    clock = keep_for(tmp_path, hours=3)
    pictures = list(timelapse.stills(tmp_path, BEGAN, clock.utc_now()))
    assert timelapse.make_film(pictures, tmp_path / "film.webm") == 18
    with av.open(str(tmp_path / "film.webm")) as film:
        assert film.streams.video[0].codec_context.name == "vp8"
        shown = [one.to_ndarray(format="gray").mean() for one in film.decode(video=0)]
    assert len(shown) == 18
    assert shown[0] < shown[-1]


def test_a_film_of_nothing_says_so(tmp_path):
    with pytest.raises(StorageError, match="no timelapse picture"):
        timelapse.make_film([], tmp_path / "film.webm")
