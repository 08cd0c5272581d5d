"""What is done at once is answered by its end alone; what takes its time is accepted first."""

import asyncio

import pytest

from agent.commands.answers import Answers
from agent.contract.commands import Reply, ReplyState
from agent.core.errors import LinkError
from tests.fake_clock import FakeClock

DONE = Reply(id="1", state=ReplyState.DONE)


@pytest.fixture
async def desk():
    """Return answers, their clock, and the list of the states they said."""
    said, clock = [], FakeClock()

    async def answer(reply):
        said.append(reply.state.value)

    answers = Answers(clock, answer)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(answers.run())
        yield answers, clock, said
        running.cancel()


async def test_what_is_done_at_once_is_not_accepted_first(desk):
    answers, clock, said = desk
    answers.taken("1")
    await clock.rests()
    await answers.ended(DONE)
    await clock.advance(1.0)
    assert said == ["done"]


async def test_what_takes_its_time_is_accepted_first(desk):
    answers, clock, said = desk
    answers.taken("1")
    await clock.advance(1.0)
    assert said == ["accepted"]
    await answers.ended(DONE)
    assert said == ["accepted", "done"]


async def test_who_was_told_how_far_it_is_need_not_hear_that_it_was_accepted(desk):
    answers, clock, said = desk
    answers.taken("1")
    answers.taken("2")
    await clock.rests()
    assert await answers.progress("1", "half", None)
    assert answers.last("1").message == "half"
    assert answers.last("2").state is ReplyState.PROGRESS
    await clock.advance(1.0)
    assert said == ["progress"]


async def test_a_center_out_of_reach_stops_nothing():
    async def answer(reply):
        raise LinkError("link.down", "There is no connection.")

    answers = Answers(FakeClock(), answer)
    assert not await answers.progress("1", "half", None)
    await answers.ended(DONE)
