"""`poleside clip masked`: a clip in which people who are found are blurred, but who is meant."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from agent.core.errors import PolesideError, SettingsError, StorageError
from agent.local.cli.audited import local_user, note
from agent.local.cli.clip_lacks import WITH_HOLES, as_facts, lacks_of, say
from agent.local.cli.clip_views import sources_of, stream_option
from agent.local.cli.progress import working
from agent.local.cli.time_range import time_range

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

    from agent.clips.holes import Hole
    from agent.clips.masking import Find, Found, Ledger, Wanted

_PERSON = "person"
_FAINTEST = 0.2  # better one blur too many


@click.command()
@click.option("--camera", required=True, help="The camera's id.")
@click.option("--from", "since", help="Start, ISO 8601; without a zone it is UTC.")
@click.option("--to", "until", help="End, ISO 8601; without a zone it is UTC.")
@click.option("--last", "last_s", type=float, help="Instead of a range: the last SECONDS.")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--keep", default="", help="What stays clear: x,y x,y x,y … (fractions).")
@click.option("--target", default="", help="Who stays clear: x,y on the body, with --at.")
@click.option("--at", "at", default="", help="When the target stands there, ISO 8601.")
@click.option("--outside", default="people", type=click.Choice(["people", "all"]))
@click.option("--by", default="", help="Who asks; else the name you are logged in with.")
@click.option("--incident", default="", help="The incident or case it belongs to.")
@click.option("--purpose", default="", help="What it is for.")
@click.option("--order", "command_id", default="", hidden=True)
@stream_option
@click.option("--data-dir", type=click.Path(path_type=Path), default="/var/lib/poleside")
@click.option("--json", "as_json", is_flag=True, help="Answer as one JSON object.")
def masked(
    camera: str,
    since: str | None,
    until: str | None,
    last_s: float | None,
    out: Path,
    keep: str,
    target: str,
    at: str,
    outside: str,
    by: str,
    incident: str,
    purpose: str,
    command_id: str,
    wanted: str,
    data_dir: Path,
    *,
    as_json: bool,
) -> None:
    """Write a clip of one camera with people and faces blurred but those that are to be seen.

    \b
    poleside clip masked --camera gate --last 60 --out gate.mp4
    poleside clip masked --camera gate --last 60 --out gate.mp4 \\
        --keep "0.4,0.3 0.6,0.3 0.6,0.9 0.4,0.9" --outside all

    It is made anew and has no sound and no seal: what was blurred is told in its comment. It takes
    only processor time that nobody else wants. What it lacks of that time is said, and why; it ends
    with 3 where the clip was made, but some of what was recorded can't be read.
    """
    audited = partial(
        note, data_dir, "clip.masked", by=by or local_user(), case=incident, command_id=command_id
    )
    try:
        begin, end = time_range(since, until, last_s)
        asked = _Asked(camera, begin, end, wanted, data_dir, purpose)
        with working("Blurring", is_shown=not as_json):
            facts = asked.made(out, keep, target, at, outside)
        span = f"{camera} {facts['start_at']} to {facts['end_at']}"
        code = "clip.holes" if asked.not_given else ""
        audited(code=code, detail=span, sha256=str(facts["sha256"]))
        click.echo(json.dumps(facts) if as_json else _text(facts))
        if not as_json:
            say(asked.lacks, asked.not_given)
    except PolesideError as error:
        audited(outcome="failed", code=error.code, detail=camera)
        if not as_json:
            raise
        click.echo(json.dumps({"code": error.code, "message": error.message, "hint": error.hint}))
        sys.exit(1)
    if asked.not_given:
        sys.exit(WITH_HOLES)


class _Asked:
    """One masked clip: exported, looked through, made anew; the clear one never has a name."""

    def __init__(
        self,
        camera: str,
        begin: datetime,
        end: datetime,
        stream: str,
        data_dir: Path,
        purpose: str,
    ) -> None:
        self._camera, self._begin, self._end = camera, begin, end
        self._stream, self._data_dir, self._purpose = stream, data_dir, purpose
        self.not_given: tuple[Hole, ...] = ()  # by the disk; `lacks` has the gaps, too
        self.lacks: tuple[Hole, ...] = ()

    def made(self, out: Path, keep: str, target: str, at: str, outside: str) -> dict[str, object]:
        import msgspec

        from agent.clips.export import export_clip, sha256_of
        from agent.clips.holes import UNREADABLE, Hole, joined
        from agent.clips.masking import mask_clip

        _be_patient()
        stream, sources = sources_of(
            self._data_dir, self._camera, self._begin, self._end, self._stream
        )
        with _nameless(out.parent) as file:  # however this process ends, the clear one goes with it
            clear = Path(f"/proc/self/fd/{file.fileno()}")
            clip = export_clip(sources, self._begin, self._end, clear)
            find, models = finder()
            wanted = _wanted(keep, target, at, outside, clip.start_at)

            def comment(ledger: Ledger) -> str:
                told = msgspec.to_builtins(ledger) | models | {"clear_sha256": clip.sha256}
                return json.dumps(told | {"purpose": self._purpose})

            ledger = mask_clip(clear, out, wanted, find, comment)
        begin, spans = clip.start_at, ledger.undecoded
        undecoded = [
            Hole(begin + timedelta(seconds=since), begin + timedelta(seconds=until), UNREADABLE)
            for since, until in spans
        ]
        asked = self._begin, self._end
        self.not_given = joined([*clip.holes, *undecoded])
        self.lacks = lacks_of(self.not_given, self._camera, stream, *asked, self._data_dir)
        return {
            "path": str(out),
            "start_at": clip.start_at.isoformat(),
            "end_at": clip.end_at.isoformat(),
            "frames": ledger.frames,
            "stream": stream,
            "codec": "h264",
            "bytes": out.stat().st_size,
            "sha256": sha256_of(out),
            "holes": as_facts(self.lacks),
            "masked": msgspec.to_builtins(ledger) | models | {"clear_sha256": clip.sha256},
        }


def _nameless(folder: Path) -> IO[bytes]:
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise StorageError(
            "clip.not_written",
            f"The folder {folder} can't be written: {error}.",
            hint="Look whether the folder is there and has room.",
        ) from error


def finder() -> tuple[Find, dict[str, str]]:
    """Return who finds people and faces, and with which models. Raises `DetectorError`."""
    from agent.clips.masking import Found
    from agent.detect import faces
    from agent.detect.detector import open_detector
    from agent.detect.letterbox import FrameScaler
    from agent.detect.tracker import Tracker
    from agent.messages.vision import TrackedObject

    detector = open_detector()
    thresholds, face_finder = detector.manifest.thresholds, faces.FaceFinder()
    scaler, tracker = FrameScaler(*detector.manifest.inputs), Tracker(thresholds)
    face_tracker = Tracker(thresholds)

    def find(frame: VideoFrame, at_s: float) -> list[Found]:
        picture = scaler.to_detector_input(frame)
        seen = detector.detect(picture.image, picture.content_width_px, picture.content_height_px)
        people = [one for one in seen if one.label == _PERSON and one.score >= _FAINTEST]
        tracks: list[TrackedObject] = tracker.update(people, at_s, picture)
        followed = [Found(one.region, one.track_id) for one in tracks]
        seen_faces = face_finder.faces(frame)
        tracks = face_tracker.update(seen_faces, at_s)
        followed += [Found(one.region, one.track_id, is_face=True) for one in tracks]
        fresh = [Found(one.region) for one in people]
        return followed + fresh + [Found(one.region, is_face=True) for one in seen_faces]

    return find, {"model": detector.manifest.model, "face_model": faces.MODEL}


def _wanted(keep: str, target: str, at: str, outside: str, begin: datetime) -> Wanted:
    from agent.clips.masking import Wanted

    what = "an area has three corners or more"
    try:
        corners = tuple(_point(one) for one in keep.split())
        spot = None
        if target:
            moment = datetime.fromisoformat(at)
            spot = ((moment - begin) / timedelta(seconds=1), *_point(target))
        if len(corners) not in (1, 2):
            return Wanted(corners, spot, "all" if outside == "all" else "people")
    except (TypeError, ValueError) as error:
        what = str(error)
    raise SettingsError("clip.bad_mask", f"The mask makes no sense: {what}.", hint="See `--help`.")


def _point(text: str) -> tuple[float, float]:
    x, y = text.split(",")
    return float(x), float(y)


def _be_patient() -> None:
    """Take only what recording, detection and all others leave (SCHED_IDLE, sched(7))."""
    with suppress(OSError):  # a unit's system call filter may forbid the one or the other
        os.nice(19)
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _text(facts: dict[str, object]) -> str:
    return f"{facts['path']}: {facts['frames']} frames\nsha256 {facts['sha256']}"
