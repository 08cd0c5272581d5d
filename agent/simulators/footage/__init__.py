"""The picture that simulated cameras show: real footage where it can be had, prepared only once.

`prepare` fetches or finds the recording, encodes it into loops and writes `manifest.json` last, so
that a folder with a manifest is complete. Each origin has a folder of its own: a scene drawn once
for want of a network does not stand in for the real recording for ever. Blocking (some 20 s of CPU
the first time); run it in the process that starts the demo, before the cameras.
"""

import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from agent.core.errors import PolesideError
from agent.simulators.footage import debian, drawn
from agent.simulators.footage.loops import LoopPlan, encode_loops, loop_plans

Origin = Literal["debian", "drawn"]
Say = Callable[[str], None]

MANIFEST = "manifest.json"
_RECIPE = 1  # raise it when the loops change, so that prepared folders are made anew


class CameraFootage(Struct, frozen=True, kw_only=True):
    """Loops of one camera: view name to MP4 file. A fixed camera has the one view `fixed`."""

    main: dict[str, str]
    sub: dict[str, str]

    def files(self) -> tuple[str, ...]:
        return (*self.main.values(), *self.sub.values())


class Footage(Struct, frozen=True, kw_only=True):
    """What was prepared. The titles say on the page where the picture comes from.

    The views of `ptz` are named `pan-2` (left) to `pan2` (right), in this order.
    """

    origin: Origin
    title_en: str
    title_ko: str
    fixed: CameraFootage
    ptz: CameraFootage
    recipe: int = _RECIPE


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the pictures come from: RGB arrays of SOURCE_SIZE_PX at SOURCE_FPS."""

    origin: Origin
    title_en: str
    title_ko: str
    pictures: Iterable[NDArray[np.uint8]]
    pan_top_px: int


def prepare(folder: Path, say: Say, origin: Literal["auto", "debian", "drawn"] = "auto") -> Footage:
    """Return the loops below `folder`, making them first if they are not there.

    `auto` takes the real recording if it can be had and else draws a scene. Raises PolesideError
    if `debian` is asked for and out of reach.
    """
    if origin != "auto":
        return _prepare(folder / origin, say, origin)
    try:
        return _prepare(folder / "debian", say, "debian")
    except PolesideError as error:
        say(f"{error.message} The cameras will show a drawn scene instead.")
        return _prepare(folder / "drawn", say, "drawn")


def _prepare(folder: Path, say: Say, origin: Origin) -> Footage:
    ready = _prepared(folder)
    if ready is not None:
        return ready
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".preparing-", dir=folder) as name:
        scratch = Path(name)
        source = _source(scratch, say, origin)
        say("Encoding the footage for the simulated cameras, once. This takes about half a minute.")
        plans = loop_plans(source.pan_top_px)
        encode_loops(source.pictures, plans, scratch, say)
        for plan in plans:
            (scratch / plan.file_name).replace(folder / plan.file_name)
        footage = Footage(
            origin=source.origin,
            title_en=source.title_en,
            title_ko=source.title_ko,
            fixed=_camera(plans, folder, is_ptz=False),
            ptz=_camera(plans, folder, is_ptz=True),
        )
        manifest = scratch / MANIFEST
        manifest.write_bytes(msgspec.json.format(msgspec.json.encode(footage)))
        manifest.replace(folder / MANIFEST)
    say("The footage is ready.")
    return footage


def _prepared(folder: Path) -> Footage | None:
    try:
        footage = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Footage)
    except (OSError, msgspec.DecodeError):
        return None
    files = (*footage.fixed.files(), *footage.ptz.files())
    is_whole = all(Path(file).is_file() for file in files)
    return footage if footage.recipe == _RECIPE and is_whole else None


def _source(scratch: Path, say: Say, origin: Origin) -> _Source:
    if origin == "debian":
        recording = debian.find_recording(scratch, os.environ, say)
        pictures = debian.read_pictures(recording)
        texts = debian.TITLE_EN, debian.TITLE_KO
        return _Source("debian", *texts, pictures, debian.PAN_TOP_PX)
    texts = drawn.TITLE_EN, drawn.TITLE_KO
    return _Source("drawn", *texts, drawn.draw_pictures(), drawn.PAN_TOP_PX)


def _camera(plans: Iterable[LoopPlan], folder: Path, *, is_ptz: bool) -> CameraFootage:
    files: dict[str, dict[str, str]] = {"main": {}, "sub": {}}
    for plan in plans:
        if plan.is_ptz == is_ptz:
            files[plan.stream][plan.view] = str((folder / plan.file_name).absolute())
    return CameraFootage(main=files["main"], sub=files["sub"])
