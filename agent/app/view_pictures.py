"""The newest picture a camera worker has looked at, as JPEG: for an order, or for a narrow push."""

from collections.abc import Callable, Iterable

import av
from msgspec import structs

from agent.app.aim_look import AimLook
from agent.app.eyes import View
from agent.app.key_picture import KeyPicture
from agent.app.picture_mask import PictureMask
from agent.core.clock import Clock
from agent.ingest.jpeg import encode_jpeg
from agent.messages.worker import PictureReply, TakePicture
from agent.push.live_tap import LiveTap
from agent.settings.model import CameraSettings

_SMALL_PX = 640
_NEW_S = 3.0  # what was looked at longer ago is not live


class Stills:
    """Small pictures of now for a narrow push: what was looked at, else the newest key frame."""

    def __init__(
        self,
        view: Callable[[], View],
        taps: Iterable[LiveTap],
        camera: Callable[[], CameraSettings],
        clock: Clock,
    ) -> None:
        """`taps`: the smallest stream first."""
        self._view, self._camera, self._clock = view, camera, clock
        self._taps = tuple(taps)

    def jpeg(self, max_bytes: int) -> bytes | None:
        """Return one that RTP can carry, None while the camera is away. Any thread may ask."""
        frame = self._frame()
        return None if frame is None else encode_jpeg(frame, _SMALL_PX, max_bytes, for_rtp=True)[0]

    def _frame(self) -> av.VideoFrame | None:
        view = self._view()
        if view.frame is not None and self._clock.monotonic_s() - view.mono_s < _NEW_S:
            return view.frame
        for tap in self._taps:
            frame = KeyPicture(tap).newest()
            if frame is not None:
                return PictureMask(self._camera().masks).over(frame)
        return None


class ViewPictures:
    """Answers orders for a picture; a frame is encoded once for who ask alike. For one thread."""

    def __init__(self, aim: AimLook) -> None:
        self._aim = aim
        self._made: PictureReply | None = None
        self._made_for: tuple[float, int, int] | None = None

    def reply(self, view: View, order: TakePicture, camera: CameraSettings) -> PictureReply:
        """Return the answer to an order, with no picture in it before the first look.

        Who aims the camera is told, too, what is measured for that.
        """
        if view.frame is None:
            return PictureReply(request_id=order.request_id)
        made, wanted = self._made, (view.mono_s, order.max_width_px, order.max_bytes)
        if made is None or self._made_for != wanted:
            jpeg, width_px, height_px = encode_jpeg(view.frame, order.max_width_px, order.max_bytes)
            made = PictureReply(
                request_id=order.request_id,
                jpeg=jpeg,
                width_px=width_px,
                height_px=height_px,
                taken_at=view.at,
                taken_mono_s=view.mono_s,
                objects=view.objects,
            )
            self._made, self._made_for = made, wanted
        aim = self._aim.look(camera, view.frame) if order.is_aiming else None
        return structs.replace(made, request_id=order.request_id, aim=aim)
