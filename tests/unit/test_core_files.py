"""Databases that open or say why not, locks that die with their holder, waits that grow."""

import sqlite3
import subprocess
import sys
import textwrap

import pytest

from agent.core.clock import SystemClock
from agent.core.errors import StorageError
from agent.core.lock import FileLock
from agent.core.retry import Backoff
from agent.core.sqlite import open_reader, open_writer

FIRST, SECOND = "CREATE TABLE one (x)", "CREATE TABLE two (x)"


def test_migrations_run_once_in_order_and_an_older_version_still_opens_the_file(tmp_path):
    path = tmp_path / "deep" / "a.db"
    open_writer(path, [FIRST]).close()
    newer = open_writer(path, [FIRST, SECOND])
    newer.execute("INSERT INTO two VALUES (1)")
    newer.close()
    older = open_writer(path, [FIRST])
    assert older.execute("SELECT x FROM two").fetchone()["x"] == 1
    older.close()


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path):
    path = tmp_path / "a.db"
    with pytest.raises(StorageError) as caught:
        open_writer(path, [FIRST, "CREATE TABLE two (x); CREATE TABLE one (x)"])
    assert caught.value.code == "storage.database"
    mended = open_writer(path, [FIRST, SECOND])
    assert mended.execute("SELECT count(*) FROM two").fetchone()[0] == 0
    mended.close()


def test_what_is_committed_survives_power_cuts_as_far_as_sqlite_can_promise(tmp_path):
    connection = open_writer(tmp_path / "a.db", [FIRST])
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    connection.close()


def test_a_file_that_is_no_database_is_said_with_a_hint(tmp_path):
    path = tmp_path / "a.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError) as caught:
        open_writer(path, [FIRST])
    assert caught.value.hint


def test_a_reader_sees_what_is_committed_while_the_writer_goes_on_and_can_not_write(tmp_path):
    writer = open_writer(tmp_path / "a.db", [FIRST])
    reader = open_reader(tmp_path / "a.db")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO one VALUES (1)")
    assert reader.execute("SELECT count(*) FROM one").fetchone()[0] == 0
    writer.execute("COMMIT")
    assert reader.execute("SELECT count(*) FROM one").fetchone()[0] == 1
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM one")
    reader.close()
    writer.close()


def test_a_database_that_is_not_there_is_not_made_by_a_reader(tmp_path):
    with pytest.raises(StorageError) as caught:
        open_reader(tmp_path / "a.db")
    assert caught.value.code == "storage.no_database"
    assert list(tmp_path.iterdir()) == []


HOLDER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from agent.core.clock import SystemClock
    from agent.core.lock import FileLock
    with FileLock(Path(sys.argv[1]), SystemClock()):
        print("held", flush=True)
        sys.stdin.read()
""")


def test_a_lock_is_refused_while_held_and_free_as_soon_as_its_holder_is_killed(tmp_path):
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StorageError) as caught, FileLock(path, SystemClock(), patience_s=0.2):
            pass
        assert caught.value.code == "storage.in_use"
        holder.kill()
        with FileLock(path, SystemClock()):
            pass
    with FileLock(path, SystemClock(), patience_s=0.0):
        pass


def test_waits_double_up_to_the_cap_spread_a_little_and_start_anew():
    backoff = Backoff(1.0, 60.0, jitter=0.3)
    for full_s in (1, 2, 4, 8, 16, 32, 60, 60):
        assert 0.7 * full_s <= backoff.next_s() <= 1.3 * full_s
    for _ in range(2000):
        assert backoff.next_s() <= 78.0
    backoff.reset()
    assert backoff.next_s() <= 1.3


def test_the_spread_is_real():
    assert len({Backoff(1.0, 60.0).next_s() for _ in range(20)}) > 10
