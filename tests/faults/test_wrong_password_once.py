"""A camera is told a wrong password once by the whole box: over ONVIF, main and sub together."""

import os
import signal
import time

import pytest

from agent.simulators.broker import free_port
from tests.box_process import HOST, BoxProcess, CameraProcess, camera_in, faults_in

WRONG = ("camera.wrong_password", "gate")
OBSERVED_S = 6.0


def is_refused(state):
    """Say whether box, main and sub stream all know that the password is wrong."""
    return WRONG in faults_in(state)


def pid_of(state, name):
    return next(p["pid"] for p in state["processes"] if p["name"] == name)


def killed(box, name):
    """Kill a process of the box and wait for the next one."""
    pid = pid_of(box.until(is_refused, within_s=60), name)
    os.kill(pid, signal.SIGKILL)
    box.until(lambda state: pid_of(state, name) not in (None, pid), within_s=60)
    box.until(is_refused, within_s=60)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_box_as_a_whole_tries_a_wrong_password_once(tmp_path, drawn_loops):
    with (
        CameraProcess(tmp_path, "gate", *drawn_loops) as gate,
        CameraProcess(tmp_path, "good", *drawn_loops) as good,
    ):
        onvif_url = f"http://{HOST}:{gate.onvif_port}/onvif/device_service"
        right = gate.settings("gate", onvif_url=onvif_url)
        beside = good.settings("good", look=False)
        broker = {"urls": [f"mqtt://{HOST}:{free_port()}"]}

        def refusals():
            return gate.said().count("login refused")

        told = {"broker": broker, "cameras": [right | {"password": "wrong"}, beside]}
        for start in range(2):  # the second one knows what the first was told
            with BoxProcess(tmp_path, told) as box:
                box.until(is_refused, within_s=60)
                box.until(lambda state: camera_in(state, "good")["is_recording"], within_s=60)
                if not start:
                    killed(box, "camera-gate")
                    killed(box, "core")
                time.sleep(OBSERVED_S)  # that nothing more comes is seen by looking on
                assert is_refused(box.state())
                assert refusals() == 1

        with BoxProcess(tmp_path, told | {"cameras": [right, beside]}) as box:
            for name in ("gate", "good"):
                box.until(lambda state, n=name: camera_in(state, n)["is_recording"], within_s=60)
            box.until(lambda state: WRONG not in faults_in(state), within_s=60)
            box.until_said("camera known", within_s=60)
        assert refusals() == 1
