"""What of a camera's settings must fit other settings of the box."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.settings.labels import check_labels
from agent.settings.pole import PoleSettings, Purpose

if TYPE_CHECKING:
    from agent.settings.model import CameraSettings


def check_feeds(cameras: tuple[CameraSettings, ...], pole: PoleSettings) -> None:
    """Raise `ValueError` unless each fed camera has an output of its own that feeds cameras."""
    feeds = {o.output_id for o in pole.outputs if o.purpose is Purpose.CAMERA_POWER}
    for camera in cameras:
        if camera.power_output and camera.power_output not in feeds:
            raise ValueError(
                f"camera `{camera.camera_id}`: `power_output` must name an output"
                f" with the purpose `camera-power`"
            )
    fed = [camera.power_output for camera in cameras if camera.power_output]
    if twice := next((output for output in fed if fed.count(output) > 1), None):
        raise ValueError(f"two cameras have one `power_output`, `{twice}`: one would cut the other")


def check_camera_labels(camera: CameraSettings) -> None:
    """Raise `ValueError` for a rule with a class that the shipped model does not know."""
    for rule in camera.rules:
        try:
            check_labels(getattr(rule, "labels", ()))
        except ValueError as error:
            message = f"rule `{rule.rule_id}` of camera `{camera.camera_id}`: {error}"
            raise ValueError(message) from None
