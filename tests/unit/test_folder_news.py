"""What is put into a folder is told by the kernel; where it can't be, the folder is looked into."""

import os
import resource
from pathlib import Path

import pytest

from agent.core.folder_news import PATIENT_S, FolderNews
from tests.fake_clock import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def news(tmp_path, clock):
    folder = tmp_path / "orders"
    folder.mkdir()
    news = FolderNews(folder, clock)
    yield news
    news.close()


def written(path):
    path.write_bytes(b"order")


def renamed(path):
    scratch = path.with_suffix(".tmp")
    scratch.write_bytes(b"order")
    scratch.replace(path)


def moved_in(path):
    scratch = path.parent.parent / "scratch"
    scratch.write_bytes(b"order")
    scratch.replace(path)


@pytest.mark.parametrize("put", [written, renamed, moved_in])
def test_what_is_put_there_is_news_until_somebody_begins_to_look(tmp_path, news, put):
    assert news.has_come()
    news.begin()
    assert news.is_told
    assert not news.has_come()
    put(tmp_path / "orders" / "1.order")
    assert news.has_come()
    assert news.has_come()
    news.begin()
    assert not news.has_come()


def test_what_comes_while_somebody_looks_is_news_afterwards(tmp_path, news):
    news.begin()
    written(tmp_path / "orders" / "1.order")
    assert sorted(one.name for one in (tmp_path / "orders").iterdir()) == ["1.order"]
    written(tmp_path / "orders" / "2.order")
    assert news.has_come()


def test_another_line_in_a_file_that_is_there_is_news(tmp_path, news):
    spool = tmp_path / "orders" / "spool.jsonl"
    written(spool)
    news.begin()
    with spool.open("ab") as file:
        file.write(b"more")
    assert news.has_come()


def test_a_folder_that_is_not_there_is_looked_into_each_time(tmp_path, clock):
    news = FolderNews(tmp_path / "later", clock)
    for _ in range(3):
        news.begin()
        assert not news.is_told
        assert news.has_come()
    (tmp_path / "later").mkdir()
    news.begin()
    assert not news.has_come()
    news.close()


def test_a_folder_made_anew_is_news_and_then_watched(tmp_path, news):
    news.begin()
    (tmp_path / "orders").rename(tmp_path / "away")
    (tmp_path / "orders").mkdir()
    assert news.has_come()
    news.begin()
    assert not news.has_come()
    written(tmp_path / "orders" / "1.order")
    assert news.has_come()


def test_a_folder_taken_away_is_news(tmp_path, news):
    news.begin()
    (tmp_path / "orders").rmdir()
    assert news.has_come()


def test_it_is_looked_into_now_and_then_though_the_kernel_tells_nothing(news, clock):
    news.begin()
    clock.pass_s(PATIENT_S - 1)
    assert not news.has_come()
    clock.pass_s(1)
    assert news.has_come()
    news.begin()
    assert not news.has_come()


def test_after_it_is_closed_there_is_always_news(news):
    news.begin()
    news.close()
    assert news.has_come()


def test_news_is_heard_by_a_process_that_holds_more_than_a_thousand_files(tmp_path, news):
    """select(2) knows no handle above 1023; the box may open 4096."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 1100 if hard == resource.RLIM_INFINITY else min(1100, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    taken = [os.open(os.devnull, os.O_RDONLY)]
    try:
        while taken[-1] < 1024:
            taken.append(os.dup(taken[0]))
        news.begin()
        assert not news.has_come()
        written(tmp_path / "orders" / "1.order")
        assert news.has_come()
    finally:
        for handle in taken:
            os.close(handle)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_who_closes_it_while_a_look_begins_has_another_look(tmp_path, clock):
    class Closing(FakeClock):
        """Somebody closes it just then."""

        def monotonic_s(self):
            news.close()
            return super().monotonic_s()

    news = FolderNews(tmp_path, clock)
    news._clock = Closing()
    news.begin()
    assert not news.is_told
    news._clock = clock
    news.begin()
    assert news.is_told
    news.close()


def test_looks_without_number_hold_one_file(tmp_path, news):
    news.begin()
    held = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        news.begin()
    assert len(list(Path("/proc/self/fd").iterdir())) == held
