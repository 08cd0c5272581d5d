"""A camera is asked to leave out echoes of our own orders, where it can, and nothing else."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from agent.cameras.event_feed import EventFeed
from agent.cameras.line import OnvifLine
from agent.core.clock import SystemClock
from agent.simulators.camera.onvif_answers import EVENTS
from agent.simulators.camera.onvif_events import DIGITAL_INPUT, MOTION
from tests.hostile_answers import NO_ANSWER
from tests.simulated_onvif import LOGIN, eventually, running_camera

CLOCK = SystemClock()
ECHO = "tns1:Media/ConfigurationChanged"


@asynccontextmanager
async def heard_of(device):
    heard = []
    line = OnvifLine(device.url, LOGIN, CLOCK)
    feed = EventFeed(line, CLOCK, heard.extend, pull_s=1.0, topics=None)
    feed.start()
    try:
        await eventually(lambda: feed.status.is_live)
        yield lambda: {message.topic.partition("/")[0] for message in heard}
    finally:
        await asyncio.to_thread(feed.stop, 20.0)


def tell(device):
    device.fire(ECHO, {"Token": "main"}, {"Name": "main"})
    device.fire(MOTION, {"Source": "0"}, {"IsMotion": "true"})  # which it does not even list
    device.fire(DIGITAL_INPUT, {"InputToken": "1"}, {"LogicalState": "true"})


async def test_echoes_stay_at_the_camera_and_what_it_does_not_list_is_heard_all_the_same():
    async with running_camera(tells_echoes=True) as device, heard_of(device) as roots:
        tell(device)
        await eventually(lambda: {"RuleEngine", "Device"} <= roots())
        assert roots() == {"RuleEngine", "Device"}


@pytest.mark.parametrize("refuses", [True, False], ids=["refuses-filters", "lists-no-echoes"])
async def test_where_that_is_not_possible_everything_is_heard(refuses):
    async with running_camera(tells_echoes=refuses) as device:
        device.faults.refuses_filter = refuses
        async with heard_of(device) as roots:
            tell(device)
            await eventually(lambda: roots() == {"Media", "RuleEngine", "Device"})
            assert len(device.events.points) == 1


async def test_a_camera_that_cuts_the_connection_on_a_filter_is_asked_for_everything():
    async with running_camera(tells_echoes=True) as device:
        key = EVENTS, "CreatePullPointSubscription"
        create = device._operations[key]

        async def cutting(operation, request):
            has_filter = b"TopicExpression" in request.body
            device.faults.spoils = {key[1]: NO_ANSWER["cut short"]} if has_filter else {}
            return "" if has_filter else await create(operation, request)

        device._operations[key] = cutting
        async with heard_of(device) as roots:
            tell(device)
            await eventually(lambda: roots() == {"Media", "RuleEngine", "Device"})
