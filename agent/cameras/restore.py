"""Setting a camera back to a picture of its settings (`agent.cameras.settings_picture`).

Encoders, imaging, texts and masks; presets by the order, as they move the head. Network, users and
time are never set back by a machine: the way to the camera hangs on them. Where a camera looks at
home is told by none.
"""

from agent.cameras import imaging, media, overlays
from agent.cameras.imaging import ImagingWish
from agent.cameras.line import OnvifLine, Service
from agent.cameras.media import AskedGot, EncoderWish
from agent.cameras.port import Place
from agent.cameras.ptz_presets import Preset
from agent.cameras.settings_picture import (
    IMAGING,
    MASKS,
    PRESETS,
    TEXTS,
    polygon_in_words,
    settings_picture,
)
from agent.cameras.xml_text import as_number

_ROOT = "VideoEncoderConfigurations/Configurations"


def restore(line: OnvifLine, was: dict[str, str]) -> tuple[AskedGot, ...]:
    """Write what differs as it was; return what was asked and got. Raises `CameraFailure`."""
    return (
        *_encoders(line, was, settings_picture(line)),
        *_imaging(line, was),
        *_texts(line, was),
        *_masks(line, was),
    )


def presets_in(was: dict[str, str]) -> tuple[Preset, ...]:
    """Return the presets of a picture whose place is known."""
    found = []
    for token in _tokens(was, PRESETS):
        root = f"{PRESETS}[{token}]"
        axes = (as_number(was.get(f"{root}/{axis}", "")) for axis in ("pan", "tilt", "zoom"))
        place = Place(*axes)
        if place.pan is not None and place.tilt is not None:
            found.append(Preset(token, was.get(f"{root}/name", ""), place))
    return tuple(found)


def _encoders(line: OnvifLine, was: dict[str, str], now: dict[str, str]) -> tuple[AskedGot, ...]:
    done: list[AskedGot] = []
    seen: set[str] = set()
    for profile in media.profiles(line):
        token = profile.encoder_token
        if token and token not in seen:
            seen.add(token)
            root = f"{_ROOT}[{token}]"
            wish = _encoder_wish(was, root)
            if wish not in (EncoderWish(), _encoder_wish(now, root)):
                done += media.set_encoder(line, profile, wish)
    return tuple(done)


def _encoder_wish(was: dict[str, str], root: str) -> EncoderWish:
    def whole(*paths: str) -> int | None:
        values = (as_number(was.get(f"{root}{path}", "")) for path in paths)
        return next((round(value) for value in values if value is not None), None)

    return EncoderWish(
        encoding=was.get(f"{root}/Encoding") or None,
        width_px=whole("/Resolution/Width"),
        height_px=whole("/Resolution/Height"),
        fps=as_number(was.get(f"{root}/RateControl/FrameRateLimit", "")),
        kbps=whole("/RateControl/BitrateLimit"),
        gop=whole("@GovLength", "/H264/GovLength"),
    )


def _imaging(line: OnvifLine, was: dict[str, str]) -> tuple[AskedGot, ...]:
    wanted = {
        path.removeprefix(f"{IMAGING}/"): value
        for path, value in was.items()
        if path.startswith(f"{IMAGING}/")
    }
    if not wanted or not line.has(Service.IMAGING):
        return ()
    now = imaging.settings(line)
    if all(now.get(name) == value for name, value in wanted.items()):
        return ()
    words = {name: wanted.get(name, "").lower() for name in ("exposure", "focus", "ir_cut", "wdr")}
    wish = ImagingWish(
        **words,  # type: ignore[arg-type]  # the camera's own words, which it takes back
        exposure_us=as_number(wanted.get("exposure_us", "")),
        gain_db=as_number(wanted.get("gain_db", "")),
    )
    return imaging.change(line, wish)


def _texts(line: OnvifLine, was: dict[str, str]) -> tuple[AskedGot, ...]:
    wanted = {token: was[f"{TEXTS}[{token}]"] for token in _tokens(was, TEXTS)}
    if not wanted:
        return ()
    now = {shown.token: shown.text for shown in overlays.overlays(line)}
    done = []
    for token, words in wanted.items():
        if token not in now:
            done.append(AskedGot(f"text {token}", words, overlays.add_text(line, words).text))
        elif now[token] != words:
            got = overlays.set_text(line, token, words)
            done.append(AskedGot(f"text {token}", words, got))
    return tuple(done)


def _masks(line: OnvifLine, was: dict[str, str]) -> tuple[AskedGot, ...]:
    wanted = {token: was[f"{MASKS}[{token}]"] for token in _tokens(was, MASKS)}
    if not wanted:
        return ()
    now = {polygon_in_words(mask) for mask in overlays.masks(line)}
    done = []
    for token, words in wanted.items():
        if words not in now:
            corners = [corner.split(",") for corner in words.split()]
            mask = overlays.add_mask(line, tuple((float(x), float(y)) for x, y in corners))
            done.append(AskedGot(f"mask {token}", words, polygon_in_words(mask)))
    return tuple(done)


def _tokens(was: dict[str, str], root: str) -> list[str]:
    """Return the tokens in paths such as `Masks[mask-1]` and `Presets[3]/name`, each once."""
    found = (
        path.removeprefix(f"{root}[").partition("]")[0]
        for path in was
        if path.startswith(f"{root}[")
    )
    return list(dict.fromkeys(found))
