"""Each kind of bad camera gives a technician the one right hint, in both languages."""

import asyncio
import dataclasses
import json
import re

import pytest

from agent.cameras.discovery import FoundCamera
from agent.cameras.door import Door
from agent.cameras.port import Login
from agent.core.clock import SystemClock
from agent.local.setup.look import look
from agent.local.setup.pages import SETUP_DIR
from tests.simulated_onvif import LOGIN, USERNAME, black_hole, running_camera

WRONG = Login(USERNAME, "wrong")
WORDS = {
    name: json.loads((SETUP_DIR / "words" / f"{name}.json").read_bytes()) for name in ("en", "ko")
}


def long_gops(reply):
    body = re.sub(rb"(GovLength>)\d+", rb"\g<1>150", reply.body)
    return dataclasses.replace(reply, body=body)


def page(reply):
    return dataclasses.replace(reply, body=b"<html>NAS</html>", content_type="text/html")


# What is wrong: the camera, its faults, the login, and the code of the hint.
BAD = {
    "wrong password": ({}, {}, WRONG, "camera.wrong_password"),
    "locked after wrong logins": ({}, {"locks_after": 1}, WRONG, "camera.locked_out"),
    "clock an hour off": ({}, {"clock_offset_s": 3600.0}, LOGIN, "setup.clock_off"),
    "silent": ({}, {"silent": True}, LOGIN, "camera.unreachable"),
    "empty answers": ({}, {"empty_200": True}, LOGIN, "camera.bad_response"),
    "a web page, no ONVIF": (
        {},
        {"spoils": {"GetSystemDateAndTime": page, "GetDeviceInformation": page}},
        LOGIN,
        "camera.not_onvif",
    ),
    "a fault for everything": ({}, {"fault_status": 500}, LOGIN, "camera.bad_response"),
    "JPEG only or first": ({}, {"lists_jpeg": True}, LOGIN, None),  # the video is taken: no hint
    "smart codec": ({}, {"smart_codec": True}, LOGIN, "camera.smart_codec"),
    "sound": ({}, {"sends_audio": True}, LOGIN, "camera.sends_audio"),
    "no small stream": ({"sub_size_px": (1920, 1080)}, {}, LOGIN, "setup.no_sub"),
    "long GOP": ({}, {"spoils": {"GetProfiles": long_gops}}, LOGIN, "camera.gop_long"),
    "huge answers": ({}, {"huge_body": True}, LOGIN, "camera.bad_response"),
}


def said(url, login):
    clock = SystemClock()
    camera = FoundCamera(address="10.0.0.9", url=url, epr="urn:uuid:x")
    return look(camera, Door(login, clock), clock)


def has_words(hint):
    in_page = all(f"fault.{hint.code}" in words for words in WORDS.values())
    return in_page or all((hint.sentence_en, hint.sentence_ko, hint.hint_en, hint.hint_ko))


@pytest.mark.parametrize("what", BAD)
async def test_a_bad_camera_gives_its_hint(what):
    config, faults, login, code = BAD[what]
    async with running_camera(**config) as device:
        for name, value in faults.items():
            setattr(device.faults, name, value)
        verified = await asyncio.to_thread(said, device.url, login)
    codes = [hint.code for hint in verified.hints]
    assert codes == ([] if code is None else [code])
    assert all(has_words(hint) for hint in verified.hints)


async def test_a_place_where_nobody_answers_is_named():
    with black_hole() as url:
        verified = await asyncio.to_thread(said, url, LOGIN)
    assert [hint.code for hint in verified.hints] == ["camera.unreachable"]
    verified = await asyncio.to_thread(said, "http://127.0.0.1:9/onvif", LOGIN)
    assert [hint.code for hint in verified.hints] == ["camera.unreachable"]
