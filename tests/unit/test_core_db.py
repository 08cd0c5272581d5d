"""One writer thread: what was promised is on the disk, what failed left no trace."""

import asyncio
import sqlite3

import pytest

from agent.core.db import Database, Part
from agent.core.errors import StorageError

NOTES = Part("notes", ["CREATE TABLE notes (text TEXT NOT NULL)"])


async def opened(path, *parts):
    db = Database(path, parts or (NOTES,))
    await db.start()
    return db


def add(text):
    return lambda connection: connection.execute("INSERT INTO notes VALUES (?)", (text,)).rowcount


def texts(connection):
    return [row["text"] for row in connection.execute("SELECT text FROM notes ORDER BY rowid")]


async def test_calls_made_together_share_one_commit(tmp_path):
    db = await opened(tmp_path / "box.db")
    commits = []
    db.on_commit(lambda: commits.append(1))
    await asyncio.gather(*(db.run(add(str(n))) for n in range(100)))
    assert await db.run(texts) == [str(n) for n in range(100)]
    assert len(commits) < 50
    await db.stop()


async def test_reading_wakes_nobody_who_waits_for_news(tmp_path):
    db = await opened(tmp_path / "box.db")
    commits = []
    db.on_commit(lambda: commits.append(1))
    for _ in range(5):
        await db.run(texts)
    assert commits == []
    await db.run(add("news"))
    assert commits == [1]
    await db.stop()


async def test_a_failing_call_undoes_only_itself(tmp_path):
    db = await opened(tmp_path / "box.db")

    def writes_then_fails(connection):
        add("gone")(connection)
        raise ValueError("no")

    results = await asyncio.gather(
        db.run(add("one")), db.run(writes_then_fails), db.run(add("two")), return_exceptions=True
    )
    assert isinstance(results[1], ValueError)
    assert await db.run(texts) == ["one", "two"]
    await db.stop()


async def test_a_full_disk_is_said_in_words_and_heals(tmp_path):
    db = await opened(tmp_path / "box.db")
    await db.run(lambda connection: connection.execute("PRAGMA max_page_count=8").fetchone())
    with pytest.raises(StorageError) as caught:
        await db.run(add("x" * 200_000))
    assert caught.value.code == "storage.full"
    await db.run(lambda connection: connection.execute("PRAGMA max_page_count=9999").fetchone())
    await db.run(add("fits now"))
    assert await db.run(texts) == ["fits now"]
    await db.stop()


async def test_each_part_migrates_on_its_own(tmp_path):
    path = tmp_path / "box.db"
    db = await opened(path, NOTES)
    await db.run(add("kept"))
    await db.stop()
    newer = Part("notes", [*NOTES.migrations, "ALTER TABLE notes ADD COLUMN mark TEXT"])
    other = Part("other", ["CREATE TABLE other (n INTEGER)"])
    db = await opened(path, newer, other)
    assert await db.run(texts) == ["kept"]
    versions = await db.run(lambda c: dict(c.execute("SELECT * FROM schema_versions").fetchall()))
    assert versions == {"notes": 2, "other": 1}
    await db.stop()


async def test_stopping_commits_what_was_asked_before(tmp_path):
    db = await opened(tmp_path / "box.db")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(db.run(add("last words")))
        await asyncio.sleep(0)
        await db.stop()
    with sqlite3.connect(tmp_path / "box.db") as connection:
        assert connection.execute("SELECT text FROM notes").fetchall() == [("last words",)]
    connection.close()
    with pytest.raises(StorageError):
        await db.run(add("too late"))
