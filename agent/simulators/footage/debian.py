"""The real recording: people walking outdoors, `vtest.avi` in Debian's package `opencv-doc`.

Found in this order: the path in POLESIDE_DEMO_FOOTAGE, the installed package, a download with
`apt-get download` and `dpkg -x`, which need no root. Newer packages compress the file.
"""

import gzip
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from agent.core.errors import PolesideError
from agent.simulators.footage.loops import SOURCE_SIZE_PX

TITLE_EN = (
    "Real recording of people walking outdoors, played in a loop: vtest.avi from Debian's "
    "package opencv-doc (OpenCV sample data)."
)
TITLE_KO = (
    "야외에서 걷는 사람들의 실제 녹화 영상을 반복 재생합니다. "
    "출처: 데비안 패키지 opencv-doc의 vtest.avi(OpenCV 예제 자료)."
)
FOOTAGE_VARIABLE = "POLESIDE_DEMO_FOOTAGE"
PACKAGE = "opencv-doc"
PAN_TOP_PX = 120  # the height at which people walk

_INSTALLED = Path("/usr/share/doc/opencv-doc")
_NAMES = ("vtest.avi", "vtest.avi.gz")
_DOWNLOAD_TIMEOUT_S = 300
_SOON = ("-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10")  # no network: say so soon
_HINT = (
    f"Install Debian's package {PACKAGE}, or put the path of its vtest.avi into "
    f"{FOOTAGE_VARIABLE}. Run apt-get update first if no package lists are there."
)


def find_recording(
    scratch: Path, environment: Mapping[str, str], say: Callable[[str], None]
) -> Path:
    """Return the path of `vtest.avi`; what must be unpacked goes to `scratch`."""
    named = environment.get(FOOTAGE_VARIABLE)
    if named:
        found = _in_folder(Path(named)) if Path(named).is_dir() else Path(named)
        if found is None or found.name not in _NAMES or not found.is_file():
            raise _out_of_reach(f"{FOOTAGE_VARIABLE} names {named}, but no vtest.avi is there.")
    else:
        found = _in_folder(_INSTALLED) or _download(scratch, say)
    return _unzipped(found, scratch)


def read_pictures(recording: Path) -> Iterator[NDArray[np.uint8]]:
    """Decode the recording into RGB arrays of SOURCE_SIZE_PX."""
    width_px, height_px = SOURCE_SIZE_PX
    try:
        with av.open(str(recording)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                picture = frame.to_ndarray(format="rgb24", width=width_px, height=height_px)
                yield picture.astype(np.uint8, copy=False)
    except FFmpegError as error:
        raise _out_of_reach(f"The recording {recording} can't be decoded: {error}.") from error


def _download(scratch: Path, say: Callable[[str], None]) -> Path:
    say(f"Fetching Debian's package {PACKAGE} (about 96 MB) for its recording of people walking.")
    _run(["apt-get", "-q", *_SOON, "download", PACKAGE], scratch)
    package = next(scratch.glob(f"{PACKAGE}_*.deb"), None)
    if package is None:
        raise _out_of_reach(f"apt-get fetched no {PACKAGE}.")
    _run(["dpkg", "-x", package.name, "unpacked"], scratch)
    package.unlink()
    found = _in_folder(scratch / "unpacked")
    if found is None:
        raise _out_of_reach(f"This {PACKAGE} holds no vtest.avi.")
    return found


def _run(command: list[str], folder: Path) -> None:
    program = shutil.which(command[0])
    if program is None:
        raise _out_of_reach(f"{command[0]} is not there: this is no Debian.")
    try:
        subprocess.run(  # noqa: S603 - fixed words only
            [program, *command[1:]],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=_DOWNLOAD_TIMEOUT_S,
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise _out_of_reach(f"`{' '.join(command)}` failed: {_last_line(error)}") from error


def _last_line(error: Exception) -> str:
    output = error.stderr if isinstance(error, subprocess.CalledProcessError) else b""
    lines = (output or b"").decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else str(error)


def _in_folder(folder: Path) -> Path | None:
    return next((path for name in _NAMES for path in sorted(folder.rglob(name))), None)


def _unzipped(found: Path, scratch: Path) -> Path:
    if found.suffix != ".gz":
        return found
    target = scratch / "vtest.avi"
    with gzip.open(found) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    return target


def _out_of_reach(message: str) -> PolesideError:
    return PolesideError("simulator.footage-out-of-reach", message, hint=_HINT)
