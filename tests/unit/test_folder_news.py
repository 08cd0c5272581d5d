"""What is put into a folder is told by the kernel; where it can't be, the folder is looked into."""

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
