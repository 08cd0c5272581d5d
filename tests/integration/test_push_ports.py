"""Cameras push their events to the few ports that the image's firewall opens for them."""

import asyncio
import socket
from urllib.parse import urlsplit

import pytest

from agent.cameras import push_point
from agent.cameras.line import OnvifLine
from agent.cameras.port import CameraNotSupported
from agent.cameras.push_point import PORTS, PushPoint
from agent.core.clock import SystemClock
from agent.simulators.camera.onvif_events import MOTION
from tests.simulated_onvif import LOGIN, running_camera

CLOCK = SystemClock()


async def test_each_camera_is_given_one_of_the_ports():
    async with running_camera() as device:
        line = OnvifLine(device.url, LOGIN, CLOCK)
        points = [await asyncio.to_thread(PushPoint.open, line, CLOCK) for _ in range(2)]
        called = [urlsplit(point.push_to).port for point in device.events.points.values()]
        assert len(set(called)) == 2
        assert set(called) <= set(PORTS)
        device.fire(MOTION, {"Source": "0"}, {"IsMotion": "true"})
        for point in points:
            assert await asyncio.to_thread(point.pull, 30.0)
            await asyncio.to_thread(point.close)
        line.close()


async def test_with_all_of_them_taken_it_is_said_so(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(push_point, "PORTS", range(port, port + 1))
        async with running_camera() as device:
            line = OnvifLine(device.url, LOGIN, CLOCK)
            with pytest.raises(CameraNotSupported, match="no port"):
                await asyncio.to_thread(PushPoint.open, line, CLOCK)
            line.close()
            assert not device.events.points
