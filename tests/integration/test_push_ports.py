"""Cameras push their events to the few ports that the image's firewall opens for them."""

import asyncio
import re
import socket
from contextlib import suppress
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from agent.cameras import push_point
from agent.cameras.line import OnvifLine
from agent.cameras.port import CameraBadResponse, CameraNotSupported
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


@pytest.fixture
def one_port(monkeypatch, unused_tcp_port):
    monkeypatch.setattr(push_point, "PORTS", range(unused_tcp_port, unused_tcp_port + 1))
    return unused_tcp_port


def _elsewhere(good):
    body = re.sub(rb"http://[^<]*(?=</wsa:Address>)", b"http://camera:none/", good.body)
    assert body != good.body
    return replace(good, body=body)


async def test_an_address_that_is_none_costs_no_port(one_port):
    async with running_camera() as device:
        device.faults.spoils = {"Subscribe": _elsewhere}
        line = OnvifLine(device.url, LOGIN, CLOCK)
        for _ in range(2):
            with pytest.raises(CameraBadResponse):
                await asyncio.to_thread(PushPoint.open, line, CLOCK)
        line.close()


async def test_calls_that_drip_or_crowd_end_and_the_camera_is_heard_again(one_port, monkeypatch):
    monkeypatch.setattr(push_point, "_CALL_S", 0.2)
    async with running_camera() as device:
        line = OnvifLine(device.url, LOGIN, CLOCK)
        point = await asyncio.to_thread(PushPoint.open, line, CLOCK)
        calls = [await asyncio.open_connection("127.0.0.1", one_port) for _ in range(20)]
        for reader, writer in calls:
            dripping = asyncio.create_task(_drip(writer))
            with suppress(OSError):
                assert not await reader.read()
            await dripping
        device.fire(MOTION, {"Source": "0"}, {"IsMotion": "true"})
        assert await asyncio.to_thread(point.pull, 30.0)
        await asyncio.to_thread(point.close)
        line.close()


async def _drip(writer):
    with suppress(OSError):
        while True:
            writer.write(b"P")
            await writer.drain()
            await asyncio.sleep(0.02)
    writer.close()
