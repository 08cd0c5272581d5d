"""One look at a camera that is not in the settings yet: who it is, its streams, what is amiss.

Runs in a thread of the core process, which loads ONVIF only when a technician asks.
"""

from collections.abc import Iterator
from contextlib import suppress

from msgspec import Struct

from agent.cameras import care, media
from agent.cameras.discovery import FoundCamera
from agent.cameras.door import Door
from agent.cameras.line import OnvifLine
from agent.cameras.port import CameraFailure
from agent.cameras.streams import choose
from agent.core.clock import Clock
from agent.health.catalogue import CATALOGUE, fault_of
from agent.health.fault import Fault

CLOCK_OFF_S = 2.0
_CALL_S = 5.0


class Hint(Struct, frozen=True, kw_only=True):
    """What is amiss and what to do; a code without words of the catalogue has those of the page."""

    code: str
    sentence_en: str = ""
    sentence_ko: str = ""
    hint_en: str = ""
    hint_ko: str = ""


class StreamLine(Struct, frozen=True, kw_only=True):
    """One stream as the camera says it is set up; 0: it did not say."""

    role: str
    encoding: str
    width_px: int
    height_px: int
    fps: float
    gop: int


class Verified(Struct, frozen=True, kw_only=True):
    """What came of trying a camera. Not `is_in`: `hints` says why."""

    is_in: bool
    maker: str = ""
    model: str = ""
    serial: str = ""
    clock_ahead_s: float | None = None
    streams: tuple[StreamLine, ...] = ()
    hints: tuple[Hint, ...] = ()
    jpeg: bytes | None = None


def look(camera: FoundCamera, door: Door, clock: Clock) -> Verified:
    """Log in once, ask who it is, how its streams are set up, and for a still. Takes a while."""
    name = camera.scope("name") or camera.address
    line = OnvifLine(camera.url, door, clock, call_s=_CALL_S)
    try:
        who, profiles = care.identity(line), media.profiles(line)
        ahead_s = line.link.measure_clock().ahead_s
        main, sub = choose(tuple(profile.stream for profile in profiles))
        chosen = [
            (role, profile)
            for role, stream in (("main", main), ("sub", sub))
            for profile in profiles
            if stream is not None and profile.stream == stream
        ]
        picture = None
        with suppress(CameraFailure):  # not every camera has a still
            picture = media.snapshot(line, main.token) if main else None
    except CameraFailure as failure:
        return Verified(is_in=False, hints=(hint_of(failure.code, name),))
    finally:
        line.close()
    return Verified(
        is_in=True,
        maker=who.maker,
        model=who.model,
        serial=who.serial,
        clock_ahead_s=ahead_s,
        streams=tuple(
            StreamLine(
                role=role,
                encoding=profile.stream.encoding,
                width_px=profile.stream.width_px,
                height_px=profile.stream.height_px,
                fps=profile.stream.fps,
                gop=profile.stream.gop,
            )
            for role, profile in chosen
        ),
        hints=tuple(_hints(name, chosen, ahead_s)),
        jpeg=picture,
    )


def hint_of(code: str, name: str) -> Hint:
    """Return what a failure means for a camera that is not in the settings yet."""
    with suppress(KeyError):
        if code in CATALOGUE:
            return _shown(fault_of(code, "camera", camera=name))
    return Hint(code=code)


def _hints(
    name: str, chosen: list[tuple[str, media.Profile]], ahead_s: float | None
) -> Iterator[Hint]:
    said: dict[str, list[str]] = {}
    for role, profile in chosen:
        for code in media.warnings_of(profile):
            said.setdefault(code, []).append(role)
    for code, roles in said.items():
        yield _shown(fault_of(code, "camera", camera=name, streams=", ".join(roles)))
    if ahead_s is not None and abs(ahead_s) > CLOCK_OFF_S:
        yield Hint(code="setup.clock_off")
    if not any(role == "sub" for role, _ in chosen):
        yield Hint(code="setup.no_sub")


def _shown(fault: Fault) -> Hint:
    return Hint(
        code=fault.code,
        sentence_en=fault.sentence_en,
        sentence_ko=fault.sentence_ko,
        hint_en=fault.hint_en,
        hint_ko=fault.hint_ko,
    )
