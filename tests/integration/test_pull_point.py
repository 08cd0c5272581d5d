"""A pull point is not lost, and no slot is leaked, because of how its first question ends."""

import asyncio

import pytest

from agent.cameras.line import OnvifLine
from agent.cameras.port import CameraNotSupported, CameraUnreachable
from agent.cameras.pull_point import PullPoint
from agent.core.clock import SystemClock
from tests.simulated_onvif import LOGIN, running_camera

CLOCK = SystemClock()


class _LineToAClosedPort(OnvifLine):
    """The port a subscription is at is not let through to us: each asking ends as told."""

    ends: tuple[Exception, ...] = ()

    def ask(self, service, body, **how):
        if "SetSynchronizationPoint" in body and self.ends:
            end, *rest = self.ends
            self.ends = tuple(rest)
            raise end
        return super().ask(service, body, **how)


async def _open(device, *ends):
    line = _LineToAClosedPort(device.url, LOGIN, CLOCK)
    line.ends = ends
    try:
        return await asyncio.to_thread(PullPoint.open, line, CLOCK)
    finally:
        line.close()


async def test_no_synchronisation_point_at_the_device_s_own_port_either_is_no_failure():
    async with running_camera() as device:
        point = await _open(device, CameraUnreachable("closed"), CameraNotSupported("no"))
        assert point.reference.url
        assert len(device.events.points) == 1


async def test_a_pull_point_that_cannot_be_reached_is_given_back():
    async with running_camera() as device:
        with pytest.raises(CameraUnreachable):
            await _open(device, CameraUnreachable("closed"), CameraUnreachable("closed"))
        assert not device.events.points
