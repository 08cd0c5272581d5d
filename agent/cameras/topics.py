"""The table of event topics, `topics.toml`: data, so that a new camera needs no new code."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from agent.contract.events import EventKind, Slug

_TABLE = Path(__file__).with_name("topics.toml")


class Topic(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row; the file says what each field means."""

    topic: str
    meaning: Slug
    kind: str = ""
    state: str = ""
    hold_s: Annotated[float, Meta(ge=0, le=86_400)] = 60.0

    def __post_init__(self) -> None:
        if self.kind:
            EventKind(self.kind)


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    topic: tuple[Topic, ...]


@cache
def topics() -> dict[str, Topic]:
    """Return the table by topic."""
    table = msgspec.convert(tomllib.loads(_TABLE.read_text("utf-8")), _Table)
    return {row.topic.lower(): row for row in table.topic}


def find(topic: str) -> Topic | None:
    """Return the row of a plain topic; the last segment may be anything where the table has `*`."""
    name = topic.lower()
    known = topics()
    return known.get(name) or known.get(f"{name.rpartition('/')[0]}/*")
