"""The newest picture a camera worker has looked at, as JPEG: for an order, or for a narrow push."""

from agent.app.aim_look import AimLook
from agent.app.eyes import View
from agent.ingest.jpeg import encode_jpeg
from agent.messages.worker import PictureReply, TakePicture
from agent.settings.model import CameraSettings

_SMALL_PX = 640


def small_jpeg(view: View, max_bytes: int) -> bytes | None:
    """Return a small one that RTP can carry, None before the first look."""
    frame = view.frame
    return None if frame is None else encode_jpeg(frame, _SMALL_PX, max_bytes, for_rtp=True)[0]


def picture_reply(
    view: View, order: TakePicture, aim: AimLook, camera: CameraSettings
) -> PictureReply:
    """Return the answer to an order, with no picture in it before the first look.

    Who aims the camera is told, too, what `aim` measures.
    """
    if view.frame is None:
        return PictureReply(request_id=order.request_id)
    jpeg, width_px, height_px = encode_jpeg(view.frame, order.max_width_px, order.max_bytes)
    return PictureReply(
        request_id=order.request_id,
        jpeg=jpeg,
        width_px=width_px,
        height_px=height_px,
        taken_at=view.at,
        taken_mono_s=view.mono_s,
        objects=view.objects,
        aim=aim.look(camera, view.frame) if order.is_aiming else None,
    )
