"""The simulated camera is judged by clients that are not ours, parsing strictly."""

import asyncio
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
import zeep
import zeep.wsa
from lxml import etree
from zeep.wsse.username import UsernameToken

from agent.simulators.camera.onvif_events import DIGITAL_INPUT, MOTION
from tests.simulated_onvif import PASSWORD, USERNAME, running_camera

_WSDL = Path(importlib.util.find_spec("onvif").origin).parents[1] / "wsdl"
_EVENTS = "http://www.onvif.org/ver10/events/wsdl"


@pytest.fixture
async def camera():
    async with running_camera(name='Pole <7> & "co"') as device:
        yield device


def _strict_client() -> zeep.Client:
    """Return plain zeep, strict, with its own transport and login."""
    session = requests.Session()
    session.trust_env = False
    return zeep.Client(
        str(_WSDL / "events.wsdl"),
        transport=zeep.Transport(session=session, operation_timeout=30),
        wsse=UsernameToken(USERNAME, PASSWORD, use_digest=True),
        plugins=[zeep.wsa.WsAddressingPlugin()],
        settings=zeep.Settings(strict=True),
    )


async def test_strict_zeep_pulls_the_bell_and_motion_and_gives_its_slot_back(camera):
    client = await asyncio.to_thread(_strict_client)
    base = camera.url.rpartition("/")[0]
    events = client.create_service(f"{{{_EVENTS}}}EventBinding", f"{base}/event_service")
    made = await asyncio.to_thread(events.CreatePullPointSubscription)
    address = made.SubscriptionReference.Address._value_1
    point = client.create_service(f"{{{_EVENTS}}}PullPointSubscriptionBinding", address)
    manager = client.create_service(f"{{{_EVENTS}}}SubscriptionManagerBinding", address)

    async with asyncio.TaskGroup() as tasks:
        pulling = tasks.create_task(
            asyncio.to_thread(point.PullMessages, Timeout="PT20S", MessageLimit=10)
        )
        while "PullMessages" not in camera.calls:  # noqa: ASYNC110 - a foreign call
            await asyncio.sleep(0.01)
        camera.fire(DIGITAL_INPUT, {"InputToken": "bell"}, {"LogicalState": "true"})
    camera.fire(MOTION, {"VideoSourceConfigurationToken": "source"}, {"IsMotion": "true"})
    more = await asyncio.to_thread(point.PullMessages, Timeout="PT20S", MessageLimit=10)
    none = await asyncio.to_thread(point.PullMessages, Timeout="PT0.1S", MessageLimit=10)
    await asyncio.to_thread(point.SetSynchronizationPoint)
    states = await asyncio.to_thread(point.PullMessages, Timeout="PT20S", MessageLimit=10)
    await asyncio.to_thread(manager.Renew, TerminationTime="PT60S")
    await asyncio.to_thread(manager.Unsubscribe)

    assert _facts(pulling.result()) == [("Changed", {"InputToken": "bell", "LogicalState": "true"})]
    assert _facts(more)[0][1]["IsMotion"] == "true"
    assert _facts(none) == []
    assert [operation for operation, _ in _facts(states)] == ["Initialized", "Initialized"]
    assert not camera.events.points
    client.transport.session.close()


async def test_onvif_zeep_s_own_camera_connects_moves_and_stops(camera):
    script = Path(__file__).with_name("onvif_zeep_client.py")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        camera.url.split(":")[2].split("/")[0],
        USERNAME,
        PASSWORD,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()

    assert process.returncode == 0, errors.decode()
    learnt = json.loads(out)
    assert learnt["serial"] == camera.config.serial
    assert learnt["uri"] == camera.config.rtsp_sub_url
    assert learnt["moves"] == ["MOVING", "IDLE"]
    assert learnt["pan"] > 0
    assert learnt["events"]
    assert (camera.motor.moves_total, camera.motor.stops_total) == (1, 1)


def _facts(pulled: Any) -> list[tuple[str, dict[str, str]]]:
    found = []
    for message in pulled.NotificationMessage:
        element: etree._Element = message.Message._value_1
        items = {i.get("Name"): i.get("Value") for i in element.iter("{*}SimpleItem")}
        found.append((element.get("PropertyOperation"), items))
    return found
