"""What one camera usually shows, by day and by night: the measure of every later look.

Learned in the first minutes of each, then following slowly (light within minutes, shadows and
parked cars within an hour). Kept in the camera's folder, so that a restart needs no new learning;
another camera (identity, picture size) begins anew.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from agent.detect.picture_health_features import COLUMNS, ROWS, Cells, Edges, Features
from agent.detect.picture_health_view import agreement

BASELINE_FILE = "picture_baseline.json"
_VERSION = 1

_LIGHT_TAKES_S = 240.0  # dusk is slower, a hand is faster
_SCENE_TAKES_S = 3600.0
_MOST_PER_LOOK = 0.1
_EDGE_SCALE = 20.0  # edges are kept in steps of 1/20 deviation
_CELL_SCALE = 100.0


Mask = NDArray[np.bool_]


class Scalars(Struct, frozen=True, kw_only=True):
    """The single figures of a baseline (see `Features` for their units)."""

    level: float
    blown: float
    noise: float
    usual_fit: float
    still_s: float = 0.0
    dirty_spells: int = 0


class Baseline:
    """The usual picture of one mode. `clean` and `dirty_spells` belong to the dirt watch.

    `still_s` is the longest time the picture has stood still and then gone on by itself.
    """

    def __init__(self, scalars: "Scalars", fine: Cells, coarse: Cells, edges: Edges) -> None:
        self.level, self.blown = scalars.level, scalars.blown
        self.noise, self.usual_fit = scalars.noise, scalars.usual_fit
        self.still_s, self.dirty_spells = scalars.still_s, scalars.dirty_spells
        self.fine, self.coarse, self.edges = fine, coarse, edges
        self.clean: Cells | None = None

    @property
    def scalars(self) -> "Scalars":
        """The single figures, as they are kept."""
        return Scalars(
            level=self.level,
            blown=self.blown,
            noise=self.noise,
            usual_fit=self.usual_fit,
            still_s=self.still_s,
            dirty_spells=self.dirty_spells,
        )

    def follow(self, seen: Features, passed_s: float) -> None:
        """Take a healthy look over, a little; nothing that passes by weighs much."""
        light, scene = passed_s / _LIGHT_TAKES_S, passed_s / _SCENE_TAKES_S
        self.level += light * (seen.level - self.level)
        self.blown += light * (seen.blown - self.blown)
        if seen.noise is not None:
            most = _MOST_PER_LOOK * max(self.noise, 0.5)
            self.noise += 10 * light * max(-most, min(most, seen.noise - self.noise))
        fit = agreement(seen.edges, self.edges)
        self.usual_fit += light * (fit - self.usual_fit)
        self.fine += light * _bounded(seen.fine - self.fine, self.fine)
        self.coarse += light * _bounded(seen.coarse - self.coarse, self.coarse)
        self.edges += scene * (seen.edges - self.edges)


def learn(looks: Sequence[Features]) -> Baseline:
    """Return the middle of what was seen: what stood there under half the time is left out."""
    noises = [look.noise for look in looks if look.noise is not None]
    edges = np.median([look.edges for look in looks], axis=0).astype(np.float32)
    scalars = Scalars(
        level=float(np.median([look.level for look in looks])),
        blown=float(np.median([look.blown for look in looks])),
        noise=float(np.median(noises)) if noises else 0.0,
        usual_fit=float(np.median([agreement(look.edges, edges) for look in looks])),
    )
    fine = np.median([look.fine for look in looks], axis=0).astype(np.float32)
    coarse = np.median([look.coarse for look in looks], axis=0).astype(np.float32)
    return Baseline(scalars, fine, coarse, edges)


def telling(fine: Cells) -> Mask:
    """Return the cells with something in them whose loss can be seen."""
    least = max(0.5, 0.25 * float(fine.mean()))
    mask: Mask = fine >= least
    return mask


def _bounded(change: Cells, value: Cells) -> Cells:
    most = np.maximum(value, 0.5)
    return np.minimum(np.maximum(change, -most), most)


class _KeptBaseline(Struct, frozen=True, kw_only=True):
    scalars: Scalars
    fine: bytes
    coarse: bytes
    edges: bytes
    edges_shape: tuple[int, int]
    clean: bytes | None = None


class _Kept(Struct, frozen=True, kw_only=True):
    version: int
    identity: str
    modes: dict[str, _KeptBaseline]


def save(folder: Path, identity: str, baselines: dict[str, Baseline]) -> None:
    """Write the baselines of one camera, all or nothing. Raises `OSError`."""
    kept = _Kept(
        version=_VERSION,
        identity=identity,
        modes={mode: _to_kept(baseline) for mode, baseline in baselines.items()},
    )
    scratch = folder / f"{BASELINE_FILE}.tmp"
    try:
        with scratch.open("wb") as file:
            file.write(msgspec.json.encode(kept))
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(folder / BASELINE_FILE)
    finally:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)


def load(folder: Path, identity: str) -> dict[str, Baseline]:
    """Return what was kept for this very camera; nothing if it is another one's, or damaged."""
    try:
        kept = msgspec.json.decode((folder / BASELINE_FILE).read_bytes(), type=_Kept)
        if (kept.version, kept.identity) != (_VERSION, identity):
            return {}
        return {mode: _from_kept(baseline) for mode, baseline in kept.modes.items()}
    except (OSError, msgspec.MsgspecError, ValueError):
        return {}


def _to_kept(baseline: Baseline) -> _KeptBaseline:
    edges = (baseline.edges * _EDGE_SCALE).round().clip(-127, 127).astype(np.int8)
    height, width = baseline.edges.shape
    return _KeptBaseline(
        scalars=baseline.scalars,
        fine=_cells_bytes(baseline.fine),
        coarse=_cells_bytes(baseline.coarse),
        edges=edges.tobytes(),
        edges_shape=(height, width),
        clean=None if baseline.clean is None else _cells_bytes(baseline.clean),
    )


def _from_kept(kept: _KeptBaseline) -> Baseline:
    edges = np.frombuffer(kept.edges, np.int8).reshape(kept.edges_shape)
    baseline = Baseline(
        kept.scalars,
        _cells_of(kept.fine),
        _cells_of(kept.coarse),
        edges.astype(np.float32) / np.float32(_EDGE_SCALE),
    )
    baseline.clean = None if kept.clean is None else _cells_of(kept.clean)
    return baseline


def _cells_bytes(cells: Cells) -> bytes:
    return (cells * _CELL_SCALE).round().clip(0, 65535).astype("<u2").tobytes()


def _cells_of(content: bytes) -> Cells:
    cells = np.frombuffer(content, "<u2").reshape(ROWS, COLUMNS)
    return cells.astype(np.float32) / np.float32(_CELL_SCALE)
