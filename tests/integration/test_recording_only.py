"""A camera that is not looked at is recorded, and its sub stream is left alone."""

import socket

import pytest

from tests.box_process import BoxProcess, CameraProcess
from tests.camera_zoo import eventually
from tests.footage_maker import make_clip


@pytest.fixture
def clip(tmp_path):
    return make_clip(tmp_path / "clip.mp4", size_px=(320, 240))


def test_with_looking_off_the_sub_stream_is_never_asked_for(tmp_path, clip):
    with (
        socket.create_server(("127.0.0.1", 0)) as sub,
        CameraProcess(tmp_path, "yard", clip, clip) as yard,
    ):
        sub.setblocking(False)
        sub_url = f"rtsp://127.0.0.1:{sub.getsockname()[1]}/sub"
        told = yard.settings("yard", look=False) | {"sub_url": sub_url}
        with BoxProcess(tmp_path, {"cameras": [told]}) as box:
            eventually(lambda: list(box.data_dir.glob("cameras/yard/video/**/*.mp4")), box.said)
        with pytest.raises(BlockingIOError):
            sub.accept()
