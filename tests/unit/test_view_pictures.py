"""Who asks twice for a camera's picture before the next frame costs the worker one picture."""

import av

from agent.app.aim_look import AimLook
from agent.app.eyes import View
from agent.app.view_pictures import ViewPictures
from agent.messages.worker import TakePicture
from agent.push.live_tap import LiveTap
from agent.settings.model import CameraSettings

CAMERA = CameraSettings(camera_id="gate", main_url="rtsp://10.0.0.1/m")


def order(number, width_px=320):
    return TakePicture(request_id=number, max_width_px=width_px, max_bytes=100_000)


def test_a_frame_is_encoded_once_for_all_who_ask_alike():
    pictures = ViewPictures(AimLook(LiveTap()))
    assert pictures.reply(View(), order(1), CAMERA).jpeg is None
    view = View(frame=av.VideoFrame(640, 360, "yuv420p"), mono_s=1.0)
    first, second = (pictures.reply(view, order(number), CAMERA) for number in (2, 3))
    assert first.jpeg is second.jpeg
    assert (first.request_id, second.request_id) == (2, 3)
    assert pictures.reply(view, order(4, 160), CAMERA).width_px == 160
    later = View(frame=view.frame, mono_s=2.0)
    assert pictures.reply(later, order(5, 160), CAMERA).taken_mono_s == 2.0
