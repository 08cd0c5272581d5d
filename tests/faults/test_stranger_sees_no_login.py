"""A whole box: another camera takes our camera's address, ONVIF and video, and sees no login."""

import json

from agent.app.stream_door import PEER_FILE
from agent.buffer.reading import camera_folder
from tests.box_process import HOST, BoxProcess, CameraProcess, camera_in, faults_in
from tests.footage_maker import make_clip

LOGIN_SHOWN = "first login shown"


def is_online(state):
    return camera_in(state, "gate")["state"] == "online"


def test_a_stranger_sees_no_login_on_any_line_and_ours_records_when_it_is_back(tmp_path):
    clips = [
        make_clip(tmp_path / f"{name}.mp4", size_px=size_px)
        for name, size_px in (("main", (320, 240)), ("sub", (160, 120)))
    ]
    ours = CameraProcess(tmp_path, "gate", *clips)
    ports = {"rtsp_port": ours.rtsp_port, "onvif_port": ours.onvif_port}
    login = {"username": ours.username, "password": ours.password}
    stranger = CameraProcess(tmp_path, "stranger", *clips, **ports, **login)
    url = f"http://{HOST}:{ours.onvif_port}/onvif/device_service"
    told = ours.settings("gate", onvif_url=url, detect=False)
    with BoxProcess(tmp_path, {"cameras": [told]}) as box:
        with ours:
            box.until(is_online, within_s=60.0)
            box.until_said("camera known", within_s=60.0)
            assert LOGIN_SHOWN in ours.said()
        with stranger:
            box.until(lambda state: ("camera.stranger", "gate") in faults_in(state), within_s=60.0)
            box.until_said('"code":"camera.stranger","detail"', within_s=60.0)  # of the video
            assert not is_online(box.state())
        assert "camera ready" in stranger.said()
        assert LOGIN_SHOWN not in stranger.said()
        with ours:
            box.until(is_online, within_s=60.0)
    peer = json.loads((camera_folder(box.data_dir, "gate") / PEER_FILE).read_text())
    assert peer["shown"]["realm"]
