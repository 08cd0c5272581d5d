"""A dead box's disk in a new box: its place is asked for at the page, and taken up by a restart."""

import asyncio
import hashlib
import ssl
from datetime import timedelta

import pytest

from agent.buffer.report import camera_buffer
from agent.contract.topics import BoxAddress
from agent.core.clock import SystemClock
from agent.settings.load import read_local, write_local
from agent.simulators.center.enrolment import Registrar
from tests.box_process import STOP_S, CameraProcess, camera_in
from tests.enrolling import NewBox, TlsMosquitto, enrolment_service
from tests.fake_clock import FakeClock
from tests.outside_box import OutsideBox
from tests.recording import Tape
from tests.spine import eventually

CLOCK = SystemClock()
POLE = BoxAddress("site-1", "bx-pole")
RULE = {"kind": "intrusion", "rule_id": "drawn", "zone": [[0.1, 0.4], [0.9, 0.4], [0.9, 0.9]]}


def ring(data_dir):
    return camera_buffer(data_dir / "cameras/gate", CLOCK.utc_now())


def pin_of(url):
    host, _, port = url.removeprefix("https://").partition(":")
    pem = ssl.get_server_certificate((host, int(port)))
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


async def approved(registrar, name, take_over=None):
    async def has_asked():
        return any(box.name == name and box.state == "asks" for box in registrar.boxes())

    async with asyncio.timeout(60):
        await eventually(has_asked)
    registrar.approve(name, POLE.site, take_over)


def at_its_page(box, url, code):
    """What a technician does there, from the claim to the restart."""
    cookie = box.claimed()
    asked = box.press("/service/place", cookie, center=url, code=code, pin=pin_of(url))
    assert asked.status == 200
    ready = f"<b>{POLE.site}/{POLE.box}</b>".encode()
    box.once(lambda page: ready in page.body, "/service", cookie)
    assert box.press("/service/restart", cookie).status == 200
    assert box.process.wait(STOP_S) == 0


@pytest.mark.timeout(240)
async def test_a_new_box_takes_a_dead_one_s_place_at_its_page(tmp_path, drawn_loops):
    broker = TlsMosquitto(tmp_path / "broker")
    registrar = Registrar(tmp_path / "center", CLOCK, (broker.url,))
    await broker.start(registrar)
    camera = CameraProcess(tmp_path / "camera", "gate", *drawn_loops)
    old_dir = tmp_path / "old"
    try:
        async with enrolment_service(registrar) as url:
            dead = NewBox(old_dir, url, registrar.new_code(POLE.box), registrar)
            enrolling = asyncio.ensure_future(dead.enrol(40.0))
            await approved(registrar, POLE.box)
            await enrolling
            write_local(old_dir, {"cameras": [camera.settings("gate", rules=[RULE])]})
            tape = Tape(old_dir / "cameras/gate", FakeClock(CLOCK.utc_now() - timedelta(minutes=9)))
            await asyncio.to_thread(tape.record, drawn_loops[1], frames=80)
            tape.index.close()
            before = ring(old_dir)

            new = OutsideBox(tmp_path, {"cameras": []}, "new", INVOCATION_ID="as under systemd")
            old_dir.rename(new.data_dir)  # the disk is moved
            with camera, new:
                approving = asyncio.create_task(approved(registrar, "bx-spare", POLE))
                code = registrar.new_code("bx-spare")
                await asyncio.to_thread(at_its_page, new, url, code)
                await approving
                broker.reload()
                new.start()  # as systemd does
                cookie = await asyncio.to_thread(new.claimed)
                state = await asyncio.to_thread(
                    new.state_once,
                    cookie,
                    lambda s: s["link"]["is_connected"] and camera_in(s, "gate")["is_recording"],
                )
                assert (state["site"], state["box_id"]) == (POLE.site, POLE.box)
                done = b"<b>box.swap</b>"
                await asyncio.to_thread(new.once, lambda told: done in told.body, "/audit", cookie)
    finally:
        await broker.stop()
    after = ring(new.data_dir)
    assert (after.first_at, after.segments > before.segments) == (before.first_at, True)
    (gate,) = read_local(new.data_dir)["cameras"]
    assert gate["rules"] == [RULE]
