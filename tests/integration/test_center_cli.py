"""`poleside center` on a command line, each command a process of its own, beside a real broker."""

import asyncio
import json
import sys

import pytest

from agent.simulators.broker import CENTER
from agent.simulators.center.commander import public_keys_file
from tests.brokers import make_broker
from tests.spine import ADDRESS, Box, make_center, running


@pytest.fixture
async def broker(tmp_path):
    broker = make_broker("mosquitto", tmp_path / "broker", [ADDRESS])
    await broker.start()
    yield broker
    await broker.stop()


async def poleside(*arguments):
    """Run the command line; return its exit code and its lines."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agent.local.cli.main",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode().splitlines()


async def played_with_holes(_command, _progress):
    """As a box answers that could not read all it had recorded."""
    hole = {"from": "2026-11-21T14:00:00Z", "to": "2026-11-21T14:00:10Z", "cause": "unreadable"}
    return {"camera_id": "cam-1", "pictures": 7, "holes": [hole]}


async def test_order_and_watch(broker, tmp_path):
    settings = broker.settings(CENTER)
    to_broker = ["--broker", settings.urls[0], "--username", CENTER]
    to_broker += ["--password", settings.password, "--data-dir", str(tmp_path)]
    box = Box(tmp_path, broker.settings("box-1"), keys_file=public_keys_file(tmp_path))
    async with running(make_center(tmp_path, settings)) as center, running(box):
        await box.say()
        await box.all_acknowledged()
        code, lines = await poleside("center", "send", *to_broker, "box-1", '{"op": "ping"}')
        assert (code, json.loads(lines[-1])["state"]) == (0, "done")
        move = '{"op": "ptz.stop", "camera_id": "cam-1"}'
        code, lines = await poleside("center", "send", *to_broker, "box-1", move)
        assert (code, json.loads(lines[-1])["code"]) == (1, "command.unsupported")
        clip = '{"op": "clip", "camera_id": "cam-1", "start_at": "2026-11-21T14:00:00Z",'
        clip += ' "end_at": "2026-11-21T14:00:10Z"}'
        code, lines = await poleside("center", "send", *to_broker, "box-1", clip)
        assert code == 1
        assert "[order.no_address]" in lines[-1]
        show = ["--camera", "cam-1", "--last", "60", "--sink", "rtsp://relay.example/gate"]
        code, lines = await poleside("center", "playback", *to_broker, "box-1", *show)
        assert (code, json.loads(lines[-1])["code"]) == (1, "command.unsupported")
        box.commands.register("playback", played_with_holes, idempotent=False)
        code, lines = await poleside("center", "playback", *to_broker, "box-1", *show)
        assert (code, json.loads(lines[-1])["result"]) == (3, await played_with_holes(None, None))
        said = ["talk", *to_broker, "box-1", "https://center.example/voice.wav"]
        written = ["sign", *to_broker, "box-1", "front", "TURN BACK", "--seconds", "5"]
        for order in (said, written):
            code, lines = await poleside("center", *order)
            assert (code, json.loads(lines[-1])["code"]) == (1, "command.unsupported")
        show[-1] = "http://relay.example/gate"
        code, lines = await poleside("center", "playback", *to_broker, "box-1", *show)
        assert code == 1
        assert "[order.malformed]" in lines[-1]
        code, lines = await poleside(
            "center", "watch", "--data-dir", str(tmp_path), "--once", "--json"
        )
        assert (code, [json.loads(line)["seq"] for line in lines]) == (0, [1])
        assert center.link() == ""


async def test_settings_are_wanted_key_by_key_beside_the_center(broker, tmp_path):
    """As the shipped rights' `operator`: the running center keeps its connection."""
    guest = broker.settings(broker.guest)
    to_box = ["--broker", guest.urls[0], "--username", broker.guest, "--json"]
    to_box += ["--password", guest.password, "--data-dir", str(tmp_path), "box-1"]
    box = Box(tmp_path, broker.settings("box-1"), keys_file=public_keys_file(tmp_path))

    async def configured(*changes):
        code, lines = await poleside("center", "configure", *to_box, *changes)
        return code, json.loads(lines[-1])

    async with running(make_center(tmp_path, broker.settings(CENTER))) as center, running(box):
        await box.link.connected()
        connects = center._link.status.connects_total
        code, report = await configured("--set", 'uploads.on_alarm=["clip"]')
        assert (code, report["version"], report["status"]) == (0, 1, "applied")
        assert box.desired.settings.uploads.on_alarm == ("clip",)
        changes = ("--set", "cameras.gate.detect_fps=2", "--set", "buffer.colour=red")
        code, report = await configured(*changes)
        assert (code, report["status"]) == (1, "partly")
        assert [error["path"] for error in report["errors"]] == ["$.buffer.colour"]
        settings = box.desired.settings
        assert (settings.uploads.on_alarm, settings.cameras[0].detect_fps) == (("clip",), 2.0)
        changes = ("--set", "uploads.on_alarm=null", "--set", "buffer=null")
        assert (await configured(*changes))[0] == 0
        assert box.desired.settings.uploads.on_alarm == ()
        assert center._link.status.connects_total == connects


async def test_a_wrong_password_is_one_plain_line(broker, tmp_path):
    arguments = ["--broker", broker.settings(CENTER).urls[0], "--username", CENTER]
    arguments += ["--password", "wrong", "--data-dir", str(tmp_path)]
    code, lines = await poleside("center", "send", *arguments, "box-1", '{"op": "ping"}')
    assert code == 1
    assert len(lines) == 1
    assert "link.refused_credentials" in lines[0]
