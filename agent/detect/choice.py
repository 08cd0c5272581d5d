"""Which model runs: the one the settings name if it may and can, else the last good one.

A model that fails its self-test is remembered as bad by its hash; the next look at the choice,
in the detect process or in a worker, passes it over. What proved good is remembered, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.core import log
from agent.core.errors import DetectorError, PolesideError
from agent.core.whole_file import write_whole
from agent.detect.backends.opening import default_engine
from agent.detect.detector import Detector, open_detector
from agent.detect.engine_record import EngineRecord
from agent.detect.manifest import SHIPPED_MODEL, Manifest, load_manifest
from agent.detect.model_signature import check_signature
from agent.messages.engines import Engine

_GOOD_FILE, _BAD_FILE = "good-model", "bad-models"
_MOST_PHANTOMS = 3
_log = log.get("detect.choice")


def _default_order(_folder: Path, manifest: Manifest) -> Sequence[Engine]:
    return [default_engine(manifest)]


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """What the settings ask for, and where it is remembered how models did."""

    wanted: Path | None
    keys_file: Path | None
    memory: Path

    def folder(self) -> Path:
        """Return the folder of the model to run. The shipped one is always there."""
        for folder in self._candidates():
            try:
                manifest = load_manifest(folder)
                check_signature(folder, manifest, self.keys_file)
            except DetectorError as error:
                _log.error("model refused", code=error.code, detail=error.message)
                continue
            if manifest.digest not in self._bad():
                return folder
        return SHIPPED_MODEL

    def open(
        self,
        threads: int = 1,
        order: Callable[[Path, Manifest], Sequence[Engine]] = _default_order,
        record: EngineRecord | None = None,
    ) -> Detector:
        """Open the model to run on the first engine of `order` that can.

        An engine that fails, or hung or crashed too often as `record` knows, is passed over; a
        model that runs on none of its engines is passed over for ever. Of the shipped one, for
        which there is no other, a damaged file is left out. Raises `DetectorError` when even that
        does not run.
        """
        while True:
            folder = self.folder()
            try:
                detector = self._open_one(folder, threads, order, record)
            except DetectorError as error:
                if folder == SHIPPED_MODEL:
                    raise
                _log.error("model fails, rolled back", code=error.code, detail=error.message)
                self._remember_bad(load_manifest(folder).digest)
                continue
            self._remember(_GOOD_FILE, str(folder))
            return detector

    def _open_one(
        self,
        folder: Path,
        threads: int,
        order: Callable[[Path, Manifest], Sequence[Engine]],
        record: EngineRecord | None,
    ) -> Detector:
        manifest = load_manifest(folder)
        engines = order(folder, manifest)
        failed = _no_engine(manifest)
        for engine in engines if record is None else record.left(manifest.sha256, engines):
            if record is not None:
                record.using(manifest.sha256, engine)
            try:
                detector = open_detector(
                    folder, threads=threads, engine=engine, whole=folder != SHIPPED_MODEL
                )
                self_test(detector)
            except DetectorError as error:
                _log.error("engine fails", engine=engine, code=error.code, detail=error.message)
                failed = error
                if record is not None:
                    record.fails(manifest.sha256, engine)
                continue
            return detector
        raise failed

    def _candidates(self) -> list[Path]:
        last_good = self._read(_GOOD_FILE)
        named = [self.wanted] if self.wanted else []
        return [*named, *([Path(last_good)] if last_good and self.wanted else [])]

    def _bad(self) -> set[str]:
        return set(self._read(_BAD_FILE).split())

    def _remember_bad(self, sha256: str) -> None:
        self._remember(_BAD_FILE, "\n".join(sorted({*self._bad(), sha256})))

    def _read(self, name: str) -> str:
        try:
            return (self.memory / name).read_text().strip()
        except OSError:
            return ""

    def _remember(self, name: str, text: str) -> None:
        if self._read(name) == text:
            return
        try:
            self.memory.mkdir(parents=True, exist_ok=True)
            write_whole(self.memory / name, text.encode())
        except (OSError, PolesideError) as error:
            _log.warning("model's fate not kept", detail=str(error))


def self_test(detector: Detector) -> None:
    """Look at grey and at noise of each shape: a sound model answers, and sees nothing there.

    Raises `DetectorError` detector.self_test.
    """
    noises = [np.random.default_rng(1).integers(0, 256, one, np.uint8) for one in detector.shapes]
    greys = [np.full(shape, 114, np.uint8) for shape in detector.shapes]
    for picture in (*greys, *noises):
        thresholds = detector.thresholds(picture.shape)
        found = detector.detect(picture, picture.shape[1], picture.shape[0])
        if not all(np.isfinite(one.score) and 0 <= one.score <= 1 for one in found):
            raise _fails("its scores are no numbers")
        phantoms = sum(one.score >= thresholds.of(one.label) for one in found)
        if phantoms > _MOST_PHANTOMS:
            raise _fails(f"it sees {phantoms} things where nothing is")


def _no_engine(manifest: Manifest) -> DetectorError:
    return DetectorError(
        "detector.no_engine",
        f"Every engine for {manifest.model} has failed: it hung, crashed, or can't run here.",
        hint="They are tried again in half an hour; try `poleside box accelerators`.",
    )


def _fails(why: str) -> DetectorError:
    return DetectorError(
        "detector.self_test",
        f"The model fails its self-test: {why}.",
        hint="The last good model runs on; install another one.",
    )
