"""Components start in order, come back after a failure, stop in reverse, and give up in the end."""

import asyncio

import pytest

from agent.core.clock import SystemClock
from agent.core.component import Components, GaveUpError, RestartLimits, Service
from agent.core.errors import StorageError

QUICK = RestartLimits(0.001, 0.002, failures=4, within_s=60.0, no_room_wait_s=0.001)


class Part(Service):
    def __init__(self, name, story, fail_times=0, error=None):
        super().__init__(SystemClock())
        self.name, self.story, self.fail_times = name, story, fail_times
        self.error = error or OSError("broken")

    async def start(self):
        self.story.append(f"{self.name} starts")

    async def run(self):
        self.progressed()
        if self.fail_times > 0:
            self.fail_times -= 1
            raise self.error
        self.story.append(f"{self.name} works")
        await asyncio.Event().wait()

    async def stop(self):
        self.story.append(f"{self.name} stops")


async def until(story, entry):
    while entry not in story:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def test_start_in_order_and_stop_in_reverse():
    story = []
    components = Components(SystemClock(), QUICK)
    for name in ("db", "uplink"):
        components.add(Part(name, story))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(components.run())
        await until(story, "uplink works")
        running.cancel()
    assert [line for line in story if "starts" in line] == ["db starts", "uplink starts"]
    assert story[-2:] == ["uplink stops", "db stops"]


async def test_a_failing_component_comes_back_and_others_never_notice():
    story = []
    components = Components(SystemClock(), QUICK)
    components.add(Part("weak", story, fail_times=2))
    components.add(Part("strong", story))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(components.run())
        await until(story, "weak works")
        health = components.health()
        running.cancel()
    assert health["weak"].restarts_total == 2
    assert health["weak"].running
    assert "broken" in health["weak"].last_error
    assert story.count("strong starts") == 1


async def test_what_a_full_disk_alone_stops_goes_on_when_there_is_room():
    story, full = [], StorageError("storage.full", "The disk can't take more.")
    components = Components(SystemClock(), QUICK)
    components.add(Part("writer", story, fail_times=9, error=ExceptionGroup("two", [full, full])))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(components.run())
        await until(story, "writer works")
        running.cancel()


async def test_failing_too_often_ends_the_process_with_the_others_stopped():
    story = []
    components = Components(SystemClock(), QUICK)
    components.add(Part("strong", story))
    components.add(Part("hopeless", story, fail_times=99))
    with pytest.raises(GaveUpError, match="hopeless"):
        await components.run()
    assert story[-1] == "strong stops"


async def test_a_job_that_is_done_ends_the_run():
    done = []

    async def job():
        done.append(True)

    components = Components(SystemClock(), QUICK)
    components.spawn("once", job)
    await components.run()
    assert done
