"""The journal forgets what no center asks for again, and nothing before its time."""

from contextlib import closing

import pytest

from agent.commands import journal
from agent.contract.commands import Actor, Command, Ping, Reply, ReplyState
from agent.core.sqlite import open_writer

NOW_S = 1_795_269_600
BEING_DONE, DONE, SOON, LATE = (f"01JD8Z3V7K5M2Q9W4R6T8Y0B1{letter}" for letter in "ABCD")
KIM = Actor(user="kim", role="operator", agency="city")


@pytest.fixture
def connection(tmp_path):
    with closing(open_writer(tmp_path / "box.db", journal.PART.migrations)) as connection:
        yield connection


def begin(connection, command_id, now_s):
    command = Command(
        id=command_id,
        args=Ping(),
        box="box-1",
        by=KIM,
        iat=now_s,
        nbf=now_s,
        exp=now_s + 30,
        iss="center",
    )
    journal.begin(connection, command)
    journal.forget(connection, now_s)


def test_what_was_done_long_ago_is_forgotten_but_never_what_is_being_done(connection):
    begin(connection, BEING_DONE, NOW_S)
    begin(connection, DONE, NOW_S)
    journal.finish(connection, Reply(id=DONE, state=ReplyState.DONE))
    begin(connection, SOON, NOW_S + 3000)
    assert journal.find(connection, DONE) is not None
    begin(connection, LATE, NOW_S + 4000)
    assert journal.find(connection, DONE) is None
    left = [command.id for command in journal.interrupted(connection)]
    assert left == [BEING_DONE, SOON, LATE]
