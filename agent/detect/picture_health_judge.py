"""One look against the baseline: which fault does it look like, if any? Not yet an event.

Third step of picture health; pure. The order matters: a lens cap is pixel-identical too, and a
noisy picture has lost its edges as well, so what explains more is asked first.
"""

from dataclasses import dataclass

import numpy as np

from agent.detect.picture_health_baseline import Baseline, telling
from agent.detect.picture_health_features import Features
from agent.detect.picture_health_view import Displacement, agreement, find_displacement
from agent.messages.picture import PictureKind


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look shows. `detail` holds the figures; `is_known_view`: the edges lie as usual."""

    kind: PictureKind | None
    detail: str = ""
    is_known_view: bool = True


@dataclass(frozen=True, slots=True)
class JudgeTuning:
    """Where a fault begins. Shares are of what the baseline says is usual."""

    dark_bright: float = 50.0
    """Luma above black below which even the brightest part tells little."""
    dark_level: float = 0.4
    black_bright: float = 6.0
    glare_blown: float = 0.25
    """Share of the picture that is white, above the usual."""
    noise_steps: float = 7.0
    noise_ratio: float = 2.5
    cell_lost: float = 0.3
    """A cell keeping less of its contrast is lost."""
    covered_cells: float = 0.6
    covered_coarse: float = 0.8
    """Contrast of the whole picture that a cover over part of it leaves at most."""
    sharp_rest: float = 0.6
    """What a cover leaves free is as sharp as before; what a bad lens leaves is not."""
    collapsed: float = 0.08
    """Contrast left of a camera that may have turned: only a cover takes so much."""
    known_fit: float = 0.65
    """Agreement of the edges with the usual ones; `some_fit`: enough to tell it is this scene."""
    some_fit: float = 0.35
    defocused_fine: float = 0.45
    defocused_sharp: float = 0.5
    """Fine detail beside coarse detail: fog and darkness take both, a lens only one."""
    moved_distance: float = 0.04
    tilted_deg: float = 5.0
    moved_fit: float = 0.5
    moved_gain: float = 0.2
    """So much better a shift must explain the view than no shift: a parked lorry fits anywhere."""
    elsewhere_fit: float = 0.25
    elsewhere_detail: float = 0.5


_ENDS_AT = 0.75
"""Once a fault is told, it must be so much nearer to what is usual before it counts as well."""


@dataclass(frozen=True, slots=True)
class _Losses:
    """Detail beside the usual. `lost`: share of the telling cells without their contrast."""

    lost: float
    fine: float
    rest_fine: float
    sharp: float
    coarse: float


class Judge:
    """Judges looks against one baseline at a time."""

    def __init__(self, tuning: JudgeTuning | None = None) -> None:
        self._tuning = tuning or JudgeTuning()

    def judge(
        self,
        seen: Features,
        base: Baseline,
        *,
        fixed: bool,
        told: PictureKind | None = None,
        may_search: bool = True,
    ) -> Verdict:
        """Return what this look shows.

        `fixed`: the camera can't turn by itself. `told` is the fault already known, which ends
        harder. Without `may_search` a strange view is only called strange.
        """
        fit = agreement(seen.edges, base.edges) / max(base.usual_fit, 0.1)
        is_known = fit >= self._tuning.known_fit / _ease(
            told, PictureKind.MOVED, PictureKind.TILTED
        )
        losses = self._losses(seen, base)
        return (
            self._of_light(seen, base, fit, told)
            or self._of_noise(seen, base, told)
            or self._of_detail(losses, fit, told)
            or (None if is_known else self._turned(told))
            or (None if is_known or fixed else self._of_free_view(losses))
            or (
                None if is_known or not may_search else self._of_view(seen, base, losses, fit, told)
            )
            or Verdict(PictureKind.FROZEN if seen.is_still and is_known else None, "", is_known)
        )

    def _losses(self, seen: Features, base: Baseline) -> _Losses:
        tells = telling(base.fine)
        if not tells.any():
            return _Losses(0.0, 1.0, 1.0, 1.0, 1.0)
        fine = seen.fine[tells] / base.fine[tells]
        is_lost = seen.coarse[tells] < self._tuning.cell_lost * base.coarse[tells]
        base_sharp = float(base.fine.sum() / max(float(base.coarse.sum()), 1.0))
        return _Losses(
            lost=float(is_lost.mean()),
            fine=float(np.median(fine)),
            rest_fine=0.0 if is_lost.all() else float(np.median(fine[~is_lost])),
            sharp=float(seen.fine.sum() / max(float(seen.coarse.sum()), 1.0)) / base_sharp,
            coarse=float(seen.coarse.sum() / max(float(base.coarse.sum()), 1.0)),
        )

    def _of_light(
        self, seen: Features, base: Baseline, fit: float, told: PictureKind | None
    ) -> Verdict | None:
        tuning = self._tuning
        if seen.blown - base.blown >= tuning.glare_blown * _ease(told, PictureKind.GLARE):
            return Verdict(PictureKind.GLARE, f"{seen.blown:.0%} of the picture is white", False)
        ease = _ease(told, PictureKind.DARK)
        is_dark = (
            seen.bright < tuning.dark_bright / ease
            and seen.level < base.level * tuning.dark_level / ease
        )
        if is_dark and (fit >= tuning.some_fit or seen.bright < tuning.black_bright):
            share = seen.level / max(base.level, 1.0)
            return Verdict(PictureKind.DARK, f"{share:.0%} of the usual light")
        return None

    def _of_noise(self, seen: Features, base: Baseline, told: PictureKind | None) -> Verdict | None:
        bound = max(self._tuning.noise_steps, self._tuning.noise_ratio * base.noise)
        if seen.noise is None or seen.noise < bound * _ease(told, PictureKind.NOISE):
            return None
        return Verdict(
            PictureKind.NOISE, f"noise of {seen.noise:.0f} steps, {base.noise:.0f} are usual"
        )

    def _of_detail(self, losses: _Losses, fit: float, told: PictureKind | None) -> Verdict | None:
        """Tell a cover that leaves a part free, and a lens out of focus."""
        tuning = self._tuning
        is_covered = (
            losses.lost >= tuning.covered_cells * _ease(told, PictureKind.COVERED)
            and losses.coarse < tuning.covered_coarse  # else it only lies elsewhere: turned
        )
        if is_covered and fit >= tuning.some_fit and losses.rest_fine >= tuning.sharp_rest:
            return _covered(losses)
        ease = _ease(told, PictureKind.DEFOCUSED)
        is_soft = (
            losses.fine < tuning.defocused_fine / ease
            and losses.sharp < tuning.defocused_sharp / ease
        )
        if is_soft and fit >= tuning.some_fit:
            return Verdict(
                PictureKind.DEFOCUSED, f"{losses.fine:.0%} of the usual fine detail is left"
            )
        return None

    def _turned(self, told: PictureKind | None) -> Verdict | None:
        """A camera known to be turned stays so until the usual view is back: no new search."""
        if told in (PictureKind.MOVED, PictureKind.TILTED):
            return Verdict(told, is_known_view=False)
        return None

    def _of_free_view(self, losses: _Losses) -> Verdict:
        """Of a PTZ camera in a view nobody knows only this can be told."""
        if losses.coarse < self._tuning.collapsed:
            return _covered(losses)
        return Verdict(None, is_known_view=False)

    def _of_view(
        self,
        seen: Features,
        base: Baseline,
        losses: _Losses,
        fit: float,
        told: PictureKind | None,
    ) -> Verdict:
        """Tell why the view is not the usual one: shifted, turned, hidden, or quite another."""
        tuning = self._tuning
        is_covered = losses.lost >= tuning.covered_cells * _ease(told, PictureKind.COVERED)
        if told is PictureKind.COVERED and is_covered:
            return _covered(losses)
        if losses.coarse >= tuning.collapsed:
            found = find_displacement(seen.edges, base.edges)
            unmoved_fit = fit * base.usual_fit
            if found.fit >= max(tuning.moved_fit * base.usual_fit, unmoved_fit + tuning.moved_gain):
                return _displaced(found, tuning)
        if is_covered and fit < tuning.some_fit:
            return _covered(losses)
        if fit < tuning.elsewhere_fit and losses.coarse >= tuning.elsewhere_detail:
            return Verdict(PictureKind.MOVED, "another view", False)
        return Verdict(None, is_known_view=False)


def _ease(told: PictureKind | None, *kinds: PictureKind) -> float:
    return _ENDS_AT if told in kinds else 1.0


def _covered(losses: _Losses) -> Verdict:
    detail = f"nothing of the scene in {losses.lost:.0%} of the picture"
    return Verdict(PictureKind.COVERED, detail, False)


def _displaced(found: Displacement, tuning: JudgeTuning) -> Verdict:
    if abs(found.angle_deg) >= tuning.tilted_deg:
        return Verdict(PictureKind.TILTED, f"turned by {found.angle_deg:.0f} degrees", False)
    if found.distance >= tuning.moved_distance:
        where = f"moved by {found.right:.0%} of the width, {found.down:.0%} of the height"
        return Verdict(PictureKind.MOVED, where, False)
    return Verdict(None, is_known_view=False)
