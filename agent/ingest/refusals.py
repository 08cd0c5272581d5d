"""Why a stream can't be had, in the words a technician reads. Codes are of the catalogue."""

from __future__ import annotations

from agent.core.errors import CameraError

_CONFIRM = (
    "If the camera was exchanged, reset or updated, confirm it with `poleside cameras confirm`; "
    "else look which device took its address."
)


def wrong_password(host: str) -> CameraError:
    return CameraError(
        "camera.wrong_password",
        f"{host} refuses this user name and password.",
        hint="Set the camera's own user name and password; it may lock after more tries.",
    )


def unsettled(host: str) -> CameraError:
    return CameraError(
        "camera.unsettled",
        f"{host} refuses a login that it took before.",
        hint="Wait: it is asked again within seconds. Should it refuse on, that is told.",
        retryable=True,
    )


def stranger(host: str) -> CameraError:
    return CameraError(
        "camera.stranger",
        f"Who answers at {host} is not known as this camera, and gets no password.",
        hint=_CONFIRM,
        retryable=True,
    )


def in_clear(host: str) -> CameraError:
    return CameraError(
        "camera.stranger",
        f"Who answers at {host} asks for the password in clear, as this camera never did.",
        hint=_CONFIRM,
        retryable=True,
    )


def no_such_stream(host: str) -> CameraError:
    return CameraError(
        "camera.no_such_stream",
        f"{host} has no stream at this path.",
        hint="Check the path, or give `onvif_url` and let the camera tell its own.",
    )


def port_closed(host: str) -> CameraError:
    return CameraError(
        "camera.refused",
        f"{host} is there, but nothing listens on that port.",
        hint="Check the port; the camera may still be starting.",
        retryable=True,
    )


def no_answer(host: str) -> CameraError:
    return CameraError(
        "camera.timeout",
        f"{host} does not answer in time.",
        hint="Check power, cable and switch port; then the camera itself.",
        retryable=True,
    )


def not_a_camera(host: str) -> CameraError:
    return CameraError(
        "camera.not_a_camera",
        f"What answers at {host} does not speak RTSP as a camera does.",
        hint="Check address and port: this may be another device.",
        retryable=True,
    )


def unreachable(host: str, why: str) -> CameraError:
    return CameraError(
        "camera.unreachable",
        f"{host} can't be reached: {why}.",
        hint="Check address, cable and power.",
        retryable=True,
    )


def garbled() -> CameraError:
    return CameraError(
        "camera.garbled",
        "The camera sends what can't be read as video.",
        hint="Restart the camera; check its encoder settings and its cable.",
        retryable=True,
    )


def lost() -> CameraError:
    return CameraError("camera.lost", "The camera ended the stream.", retryable=True)


def no_video() -> CameraError:
    return CameraError(
        "camera.no_video",
        "The address answers, but has no video.",
        hint="Check the stream path; ask the camera's page for its RTSP address.",
    )


def other_codec(name: str) -> CameraError:
    return CameraError(
        "camera.codec",
        f"The stream is {name}; only H.264 and H.265 can be recorded.",
        hint="Set the camera's encoder to H.264 or H.265.",
    )


def other_format() -> CameraError:
    return CameraError(
        "camera.codec_changed",
        "The camera changed its video format.",
        hint="Nothing: recording goes on in the new format.",
        retryable=True,
    )
