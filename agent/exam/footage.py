"""Which clips and pictures there are, and the truth of each: found by name, or as told."""

from __future__ import annotations

import configparser
import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
from av.error import FFmpegError

from agent.core.errors import ExamError
from agent.exam.boxes import BoxTruth, PictureFit, read_mot, read_rows
from agent.exam.expected import (
    EVENTS_FILE,
    PEOPLE,
    VEHICLES,
    ClipFacts,
    condition_of,
    entry_for,
    read_expected,
)

VIDEO = {".mp4", ".mkv", ".avi", ".mov", ".ts", ".m4v", ".webm", ".h264", ".h265"}
PICTURE = {".jpg", ".jpeg", ".png"}
_NAMED_TRUTH = re.compile(r"[\w*.-]+_gt\.txt")


@dataclass(frozen=True, slots=True)
class Clip:
    """A video file and what is known of it."""

    path: Path
    width_px: int
    height_px: int
    fps: float
    frames: int

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        return (self.width_px, self.height_px)


@dataclass(frozen=True, slots=True)
class Told:
    """What the caller says of the truth, over what is found out."""

    size_px: tuple[int, int] | None = None
    fps: float | None = None


@dataclass(frozen=True, slots=True)
class ClipTruth:
    """All that is known to be true of one clip."""

    condition: str
    expected: ClipFacts | None
    boxes: BoxTruth | None
    fit: PictureFit


def find_footage(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return (video files, picture files) in files and folders, in order of name.

    Raises `ExamError` when there is nothing.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ExamError(
                "exam.no_footage", f"There is no {path}.", hint="Give files or folders."
            )
        files += (
            sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        )
    videos = [one for one in files if one.suffix.lower() in VIDEO]
    pictures = [one for one in files if one.suffix.lower() in PICTURE]
    if not videos and not pictures:
        raise ExamError(
            "exam.no_footage",
            "There is neither video nor picture in what was given.",
            hint="Give video files, folders with video, or pictures with a folder of labels.",
        )
    return videos, pictures


def open_clip(path: Path) -> Clip:
    """Look at a video file's head. Raises `ExamError` exam.footage."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise _unreadable(path, "there is no video in it")
            stream = container.streams.video[0]
            rate = stream.average_rate or stream.guessed_rate
            context = stream.codec_context
            return Clip(path, context.width, context.height, float(rate or 25), stream.frames)
    except (FFmpegError, OSError) as error:
        raise _unreadable(path, str(error)) from error


class TruthFinder:
    """Finds the truth of clips and pictures in a file or a folder."""

    def __init__(self, truth: Path, clips: Sequence[Clip], told: Told) -> None:
        if not truth.exists():
            raise ExamError(
                "exam.no_truth",
                f"There is no ground truth at {truth}.",
                hint="Give a file (MOT text, expected events, KISA XML) or a folder of them.",
            )
        self._truth, self._clips, self._told = truth, clips, told
        self._folder = truth if truth.is_dir() else truth.parent
        self._table = {
            name: entry for path in self._tables() for name, entry in read_expected(path).items()
        }

    def _tables(self) -> Iterator[Path]:
        if self._truth.is_dir():
            yield from sorted(one for one in self._truth.rglob("*") if _is_table(one))
        elif self._truth.suffix.lower() in (".json", ".xml"):
            yield self._truth
        elif (beside := self._folder / EVENTS_FILE).exists():
            yield beside

    def of_clip(self, clip: Clip) -> ClipTruth | None:
        """Return what is true of a clip, None when nothing is known. Raises `ExamError`."""
        entry = entry_for(clip.stem, self._table)
        if entry is None and self._truth.is_file() and len(self._table) == 1:
            entry = next(iter(self._table.values()))  # one file for this one clip
        path = self._mot_file(clip, entry)
        if entry is None and path is None:
            return None
        named = entry
        if path is not None and (other := entry_for(_prefix(path), self._table)) is not None:
            named = other  # a clip made from another one shares its truth, and the truth's size
        size_px, fps = self._truth_picture(clip, path, named)
        fit = PictureFit(size_px, clip.size_px)
        labels = (named or ClipFacts(labels=_by_name(path or clip.path))).labels
        boxes = read_mot(path, fit, fps, labels, named.min_iou if named else 0.5) if path else None
        own_px = entry.size_px if entry and entry.size_px else None
        fit_of_entry = PictureFit(own_px or (size_px if path else clip.size_px), clip.size_px)
        return ClipTruth(condition_of(clip.stem, entry), entry, boxes, fit_of_entry)

    def labels_of(self, picture: Path) -> Path | None:
        """Return the file of labels (YOLO text) of a picture."""
        places = [self._truth] if self._truth.is_file() else []
        places += [self._folder / f"{picture.stem}.txt"]
        places += [picture.parent.parent / "labels" / f"{picture.stem}.txt"]
        places += [picture.with_suffix(".txt")]
        if self._truth.is_dir():
            places += list(self._truth.rglob(f"{picture.stem}.txt"))
        return next((one for one in places if one.is_file() and one.stem == picture.stem), None)

    def _mot_file(self, clip: Clip, entry: ClipFacts | None) -> Path | None:
        if self._truth.suffix.lower() == ".txt":
            return self._truth
        if self._truth.is_file() and self._truth.suffix.lower() == ".xml":
            return None
        inside = sorted(self._folder.rglob("*_gt.txt"))
        own = [one for one in inside if clip.stem.startswith(_prefix(one) + "_")]
        own += [one for one in (self._folder / f"{clip.stem}.txt",) if one.is_file()]
        own += [one for one in (self._folder / clip.stem / "gt" / "gt.txt",) if one.is_file()]
        if own:
            return max(own, key=lambda one: len(_prefix(one)))
        named = _NAMED_TRUTH.search(entry.note) if entry else None
        meant = sorted(self._folder.glob(named[0])) if named else []
        return meant[0] if len(meant) == 1 else None

    def _truth_picture(
        self, clip: Clip, path: Path | None, entry: ClipFacts | None
    ) -> tuple[tuple[int, int], float]:
        """Return of which picture size and rate the boxes are, from what is told or can be seen."""
        sequence = _seqinfo(path)
        size_px = self._told.size_px or sequence[0] or (entry.size_px if entry else None)
        fps = self._told.fps or sequence[1]
        if path is not None and (size_px is None or fps is None):
            native = self._native(_prefix(path), size_px, read_rows(path)[:, 0].max(initial=1))
            size_px = size_px or (native.size_px if native else None)
            fps = fps or (native.fps if native else None)
        return size_px or clip.size_px, fps or clip.fps

    def _native(self, prefix: str, size_px: tuple[int, int] | None, last: float) -> Clip | None:
        """Return the clip that the boxes were drawn on: of that name and size, and long enough."""
        known = {one.path for one in self._clips}
        beside = [one for one in self._folder.iterdir() if one.suffix.lower() in VIDEO]
        others = [one for one in beside if one not in known and one.stem.startswith(prefix + "_")]
        clips = [*self._clips]
        for path in others:
            with contextlib.suppress(ExamError):
                clips.append(open_clip(path))
        fitting = [
            one
            for one in clips
            if one.stem.startswith(prefix + "_")
            and (size_px is None or one.size_px == size_px)
            and (not one.frames or one.frames >= last)
        ]
        # The slowest that is long enough: a faster copy only repeats pictures.
        return min(fitting, key=lambda one: (one.frames, one.fps), default=None)


def _prefix(path: Path) -> str:
    return path.stem.removesuffix("_gt")


def _is_table(path: Path) -> bool:
    return path.name == EVENTS_FILE or path.suffix.lower() == ".xml"


def _by_name(path: Path) -> frozenset[str]:
    word = path.stem.lower()
    return VEHICLES if word.startswith(("car", "vehicle", "truck")) else PEOPLE


def _seqinfo(path: Path | None) -> tuple[tuple[int, int] | None, float | None]:
    """Return size and rate from a MOT challenge's `seqinfo.ini`, where one lies by the truth."""
    if path is None:
        return None, None
    for folder in (path.parent, path.parent.parent):
        parser = configparser.ConfigParser()
        if parser.read(folder / "seqinfo.ini") and parser.has_section("Sequence"):
            own = parser["Sequence"]
            size_px = int(own["imWidth"]), int(own["imHeight"])
            return size_px, float(own["frameRate"])
    return None, None


def _unreadable(path: Path, why: str) -> ExamError:
    return ExamError(
        "exam.footage",
        f"{path.name} can't be read as video: {why}.",
        hint="Look whether `ffprobe` can read it; leave it out if not.",
    )
