"""The ffmpeg commands of a recorder made of subprocesses; see `tests.bench.pipeline`.

Beside it, so that the measuring process, which tells them, never loads numpy: pages it shared with
the agent would flatter the agent's PSS.
"""

from pathlib import Path

from tests.bench.clip import SUB

WIDTH_PX, HEIGHT_PX = SUB.size_px
_TCP = ("-rtsp_transport", "tcp")
_INPUT = {
    "lean": ("-analyzeduration", "0", "-probesize", "32", "-fpsprobesize", "0", "-threads", "1"),
    "usual": (
        *("-threads", "2", "-avoid_negative_ts", "make_zero", "-fflags", "+genpts+discardcorrupt"),
        *("-timeout", "10000000", "-use_wallclock_as_timestamps", "1"),
    ),
}
_FRAMES = {
    "lean": ("-vf", f"scale={WIDTH_PX}:{HEIGHT_PX}"),
    "usual": (
        *("-r", str(SUB.fps), "-vf", f"fps={SUB.fps},scale={WIDTH_PX}:{HEIGHT_PX}"),
        *("-threads", "2"),
    ),
}
SEGMENT_S = 10
_SEGMENTS = (
    *("-c", "copy", "-an", "-f", "segment", "-segment_time", str(SEGMENT_S)),
    *("-reset_timestamps", "1"),
)


def recording(kind: str, main_url: str, folder: Path) -> tuple[str, ...]:
    """Return the command that copies the main stream into segments."""
    return (*_start(kind), main_url, *_SEGMENTS, str(folder / "%06d.mp4"))


def decoding(kind: str, sub_url: str) -> tuple[str, ...]:
    """Return the command that decodes the sub stream into a pipe."""
    frames = ("-an", *_FRAMES[kind], "-pix_fmt", "yuv420p", "-f", "rawvideo", "pipe:1")
    return (*_start(kind), sub_url, *frames)


def remaking(segment: Path, made: Path) -> tuple[str, ...]:
    """Return the command that makes a finished segment anew, with its index in front."""
    quiet = ("ffmpeg", "-hide_banner", "-y")
    return (*quiet, "-i", str(segment), "-c", "copy", "-movflags", "+faststart", str(made))


def in_words(kind: str, reader: str = "a Python that looks for motion") -> str:
    """Return both commands of a camera as one would type them, and who reads the pipe."""
    record, look = recording(kind, "MAIN", Path()), decoding(kind, "SUB")
    return f"{' '.join(record)}; {' '.join(look)} | {reader}"


def _start(kind: str) -> tuple[str, ...]:
    return ("ffmpeg", "-nostdin", "-hide_banner", "-v", "error", *_INPUT[kind], *_TCP, "-i")
