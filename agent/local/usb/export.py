"""Writes one camera's time range to a stick, with all that a stranger needs to play and check it.

`poleside-BOX-CAMERA-TIME/`: the sealed clip, its signed manifest beside it, the box's public key,
the verifier as one file, how to play it in Korean and English, and checksums. Flushed to the stick
before anybody is told that it may be taken out.
"""

import hashlib
import os
import zipfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

import agent
from agent.buffer.reading import camera_folder, for_clip
from agent.commands.clip import ClipFacts
from agent.local.usb.media import UsbError, check

VERIFIER, HOW_TO = "verify.pyz", "HOW-TO-PLAY.txt"
_OTHERS_BYTES: Final = 2 * 1024 * 1024
_WIDER: Final = 1.1  # whole segments are counted, but the container is another
_IN_VERIFIER: Final = ("contract", "evidence")  # and these files alone:
_ALONE: Final = (
    *("__init__.py", "core/__init__.py", "core/errors.py", "local/__init__.py"),
    *("local/cli/__init__.py", "local/cli/audited.py", "local/cli/clip_verify.py"),
)
_START = "from agent.local.cli.clip_verify import verify\n\nverify()\n"
_TEXT = """\
이 영상 보기 / HOW TO PLAY

영상: {clip}
  VLC(https://www.videolan.org)로 열면 재생됩니다. 대부분의 브라우저에서도 H.264 영상은 열립니다.
확인: 영상이 바뀌지 않았는지는 Python 3.11 이상이 있는 컴퓨터에서
  pip install click cryptography msgspec
  python verify.pyz "{clip}" --box-key box.jwk.json
  으로 확인합니다. box.jwk.json이 이 장치의 키인지는 관제센터에 물어보십시오.

Video: {clip}
  Opens in VLC (https://www.videolan.org), H.264 in most browsers, too.
Check that it was not changed, on a computer with Python 3.11 or newer:
  pip install click cryptography msgspec
  python verify.pyz "{clip}" --box-key box.jwk.json
  Ask the center whether box.jwk.json is this box's key.

{facts}
"""

Export = Callable[[Path], Awaitable[ClipFacts]]


class Exported(Struct, frozen=True, kw_only=True):
    """What lies on the stick now, whole and flushed."""

    folder: str
    clip: str
    bytes: int
    sha256: str
    is_sealed: bool
    holes: tuple[dict[str, str], ...] = ()  # what the clip lacks, each from, to, cause


def needed_bytes(data_dir: Path, camera_id: str, since: datetime, until: datetime) -> int:
    """Return about how much room it takes; 0 recorded bytes raise `UsbError` usb.nothing."""
    _, found = for_clip(camera_folder(data_dir, camera_id), since, until)
    size = sum(segment.size_bytes for segment in found)
    if not size:
        raise UsbError("usb.nothing", f"Nothing of {camera_id} is recorded in that time.")
    return round(size * _WIDER) + _OTHERS_BYTES


async def export(
    media: Path,
    data_dir: Path,
    box: str,
    camera_id: str,
    since: datetime,
    until: datetime,
    make_clip: Export,
    public_key: bytes,
) -> Exported:
    """Write it all. Raises `UsbError` before anything is written, `CommandError` of the clip."""
    check(media, data_dir, needed_bytes(data_dir, camera_id, since, until))
    folder = media / f"poleside-{box}-{camera_id}-{since:%Y%m%d-%H%M%S}"
    clip = folder / f"{camera_id}-{since:%Y%m%d-%H%M%S}.mp4"
    if any(path.is_symlink() for path in (folder, *folder.glob("*"))):
        raise UsbError(
            "usb.links", f"Links lie where {folder.name} goes.", hint="Take another stick."
        )
    try:
        folder.mkdir(exist_ok=True)
        made = await make_clip(clip)
        (folder / "box.jwk.json").write_bytes(public_key)
        write_verifier(folder / VERIFIER)
        facts = f"{box} {camera_id} {made.start_at:%Y-%m-%d %H:%M:%S} - {made.end_at:%H:%M:%S} UTC"
        facts += "".join(
            f"\nlacks {one['from']} - {one['to']}: {one['cause']}" for one in made.holes
        )
        told = _TEXT.format(clip=clip.name, facts=f"{facts}\nsha256 {made.sha256}")
        (folder / HOW_TO).write_text(told, "utf-8")
        _write_sums(folder)
        _flush(folder)
    except OSError as error:
        raise UsbError(
            "usb.failed",
            f"The stick can't be written: {error.strerror}.",
            hint="What is on it is not whole. Take another stick and do it again.",
        ) from error
    return Exported(
        folder=str(folder),
        clip=clip.name,
        bytes=made.bytes,
        sha256=made.sha256,
        is_sealed=made.sealed,
        holes=made.holes,
    )


def write_verifier(path: Path) -> None:
    """Write this version's `poleside clip verify` as one Python zip application."""
    root = Path(agent.__file__).parent
    names = [root / name for name in _ALONE]
    names += [file for part in _IN_VERIFIER for file in sorted((root / part).glob("*.py"))]
    with path.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
            for name in names:
                packed.write(name, f"agent/{name.relative_to(root)}")
            packed.writestr("__main__.py", _START)


def _write_sums(folder: Path) -> None:
    lines = []
    for path in sorted(folder.iterdir()):
        if path.name != "SHA256SUMS":
            with path.open("rb") as file:
                lines.append(f"{hashlib.file_digest(file, 'sha256').hexdigest()}  {path.name}\n")
    (folder / "SHA256SUMS").write_text("".join(lines), "utf-8")


def _flush(folder: Path) -> None:
    """Bring every file and both folders to the stick. Raises `OSError`."""
    for path in (*folder.iterdir(), folder, folder.parent):
        handle = os.open(path, os.O_RDONLY)
        try:
            with suppress(PermissionError):  # a folder of vfat can't be flushed by everybody
                os.fsync(handle)
        finally:
            os.close(handle)
