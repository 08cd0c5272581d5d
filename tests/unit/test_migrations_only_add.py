"""After an update that is rolled back, the version before opens what the newer one wrote.

So tables only ever grow, and no row is written by the places of its columns.
"""

import importlib
import pkgutil
import re
from contextlib import closing
from pathlib import Path

import pytest

import agent
from agent.buffer.schema import MIGRATIONS
from agent.core.sqlite import Part, migrate_parts, open_writer

SOURCES = Path(agent.__file__).parent
NOT_ON_A_BOX = ("agent.simulators", "agent.exam")
BY_PLACE = re.compile(
    r"INSERT (?:OR [A-Z]+ )?INTO (?!schema_versions)[\w{}.\[\]]+\"?\s*f?\"?\s*VALUES"
)
COLUMN = re.compile(r"ALTER TABLE \w+ ADD COLUMN (?P<what>.+)", re.DOTALL)
ADDS = re.compile(r"CREATE (TABLE|INDEX|TRIGGER) |END$")
FILLS = re.compile(r"INSERT INTO (?P<table>\w+) .*SELECT ")


def schemas():
    """Yield the name and the scripts of each module's tables."""
    for found in pkgutil.walk_packages(agent.__path__, "agent."):
        if found.name.startswith(NOT_ON_A_BOX):
            continue
        module = importlib.import_module(found.name)
        for name, value in vars(module).items():
            if isinstance(value, Part):
                yield value.name, tuple(value.migrations)
            elif name.endswith("MIGRATIONS"):
                yield found.name, tuple(value)


SCHEMAS = sorted(set(schemas()))


def later_statements(scripts):
    """Yield each statement after the first version, and the tables that its script makes."""
    for script in scripts[1:]:
        made = set(re.findall(r"CREATE TABLE (\w+)", script))
        for statement in script.split(";"):
            if text := " ".join(statement.split()):
                yield text, made


@pytest.mark.parametrize(("name", "scripts"), SCHEMAS, ids=[name for name, _ in SCHEMAS])
def test_a_later_version_only_adds_to_tables(name, scripts):
    for statement, made in later_statements(scripts):
        if column := COLUMN.fullmatch(statement):
            what = column["what"].upper()
            assert "NOT NULL" not in what or "DEFAULT" in what, f"{name}: {statement}"
            assert not re.search("UNIQUE|PRIMARY|CHECK|REFERENCES", what), f"{name}: {statement}"
        elif fills := FILLS.match(statement):
            assert fills["table"] in made, f"{name}: {statement}"
        elif not statement.startswith("UPDATE usage SET"):  # within a trigger
            assert ADDS.match(statement), f"{name}: {statement}"


def test_no_row_is_written_by_the_places_of_its_columns():
    files = [file for file in SOURCES.rglob("*.py") if "simulators" not in file.parts]
    found = [f"{file.name}: {hit}" for file in files for hit in BY_PLACE.findall(file.read_text())]
    assert len(files) > 300
    assert found == []


def test_a_file_of_a_later_version_opens_and_keeps_what_it_has(tmp_path):
    path = tmp_path / "index.db"
    parts = [Part(name, scripts) for name, scripts in SCHEMAS if name.isidentifier()]
    with closing(open_writer(path, MIGRATIONS)) as db:
        migrate_parts(db, parts)
        tables = [
            row[0]
            for row in db.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            )
        ]
        later = [f"ALTER TABLE {table} ADD COLUMN of_later TEXT" for table in tables]
        db.executescript(";".join(later))
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
        db.execute("UPDATE schema_versions SET version = version + 1")
    with closing(open_writer(path, MIGRATIONS)) as db:
        migrate_parts(db, parts)
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS) + 1
        assert db.execute("SELECT of_later FROM segments").fetchall() == []
    assert len(tables) > 30
