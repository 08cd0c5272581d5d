"""Cameras as the set-up pages ask them: what they can and where they look is set by the test."""

import av
import numpy as np

from agent.app.aim_look import AimLook
from agent.cameras.port import CameraNotSupported
from agent.messages.worker import AimReading
from agent.push.live_tap import LiveTap
from agent.settings.model import CameraSettings

_PLAIN = CameraSettings(camera_id="plain", main_url="rtsp://10.0.0.1/m")


class TriedCameras:
    """`gate` turns and has masks of its own, all others do not."""

    def __init__(self) -> None:
        self.at, self.turns, self.own_masks = (0.0, 0.0), [], {}
        self.settings: dict[str, CameraSettings] = {}
        self.sharp = 40
        self.has_masks = True

    async def aim(self, camera_id: str) -> AimReading | None:
        noise = np.random.default_rng(3).integers(0, self.sharp, (360, 640), np.uint8) + 90
        frame = av.VideoFrame.from_ndarray(noise.astype(np.uint8), format="gray")
        return AimLook(LiveTap()).look(self.settings.get(camera_id, _PLAIN), frame)

    def can_turn(self, camera_id: str) -> bool:
        return camera_id == "gate"

    async def looks_at(self, _camera_id: str) -> tuple[float, float]:
        return self.at

    async def turn(self, camera_id, pan, tilt, zoom, by) -> None:
        self.turns.append((camera_id, pan, tilt, zoom, by.name))

    async def centre(self, camera_id, at, by) -> None:
        self.turns.append((camera_id, at, by.name))

    async def masks(self, camera_id):
        self._may_mask(camera_id)
        return list(self.own_masks.items())

    async def add_mask(self, camera_id, polygon, _by) -> None:
        self._may_mask(camera_id)
        self.own_masks[f"m{len(self.own_masks)}"] = polygon

    async def remove_mask(self, camera_id, token, _by) -> None:
        self._may_mask(camera_id)
        del self.own_masks[token]

    def _may_mask(self, camera_id: str) -> None:
        if camera_id != "gate" or not self.has_masks:
            raise CameraNotSupported("no masks")
