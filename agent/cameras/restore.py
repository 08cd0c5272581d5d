"""Setting a camera's encoders back to a picture taken earlier (`agent.cameras.care`).

Network, users and time are never set back by a machine: the way to the camera hangs on them.
"""

from agent.cameras.line import OnvifLine
from agent.cameras.media import AskedGot, EncoderWish, profiles, set_encoder
from agent.cameras.xml_text import as_number

_ROOT = "VideoEncoderConfigurations/Configurations"


def restore_encoders(line: OnvifLine, was: dict[str, str]) -> tuple[AskedGot, ...]:
    """Write the encoders of all profiles as they were; return what was asked and got."""
    done: list[AskedGot] = []
    seen: set[str] = set()
    for profile in profiles(line):
        token = profile.encoder_token
        if token and token not in seen:
            seen.add(token)
            wish = _wish(was, f"{_ROOT}[{token}]")
            if wish != EncoderWish():
                done += set_encoder(line, profile, wish)
    return tuple(done)


def _wish(was: dict[str, str], root: str) -> EncoderWish:
    def whole(*paths: str) -> int | None:
        values = (as_number(was.get(f"{root}{path}", "")) for path in paths)
        return next((round(value) for value in values if value is not None), None)

    return EncoderWish(
        width_px=whole("/Resolution/Width"),
        height_px=whole("/Resolution/Height"),
        fps=as_number(was.get(f"{root}/RateControl/FrameRateLimit", "")),
        kbps=whole("/RateControl/BitrateLimit"),
        gop=whole("@GovLength", "/H264/GovLength"),
    )
