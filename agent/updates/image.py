"""The image's side, as the agent sees it: is this one, which version runs, what came of a plan.

The agent can only leave `plan.json` and `hold`; `poleside-update` and `poleside-trial` read them
and leave `update.json` and `trial.json` where only root writes.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from agent.core.errors import CommandError
from agent.core.whole_file import write_whole

T = TypeVar("T")

FOLDER = "update"  # under data_dir
PLAN, HOLD = "plan.json", "hold"
NO_TRIALS = "no-trials"  # among the image's notes of this boot


class Outcome(Struct, frozen=True):
    """What came of a plan: `installed`, `postponed` or `refused`."""

    update_id: str | None = None
    outcome: str = ""
    version: str = ""
    code: str = ""
    why: str = ""


class Verdict(Struct, frozen=True):
    """What the health gate found of the version it tried, in the boot `boot`."""

    kept: bool = False
    why: str | None = None
    version: str = ""
    boot: str = ""

    def is_of(self, version: str | None, judged: str) -> bool:
        """Say whether it is of a trial of `version` other than that in the boot `judged`."""
        return self.version == version and self.boot != judged


class _Release(Struct, frozen=True):
    version: str = ""


@dataclass(frozen=True, slots=True)
class ImageSide:
    """`folder` is the agent's, `outcomes` the image's; `release` and `notes` say what runs."""

    folder: Path
    outcomes: Path
    release: Path
    notes: Path

    @classmethod
    def of(cls, data_dir: Path, root: Path = Path("/")) -> "ImageSide":
        """Return that of the box whose files lie under `root`."""
        return cls(
            data_dir / FOLDER,
            root / "data/image",
            root / "usr/lib/poleside/release.json",
            root / "run/poleside-boot",
        )

    @property
    def is_there(self) -> bool:
        """Whether this machine runs the image: elsewhere the system's own packages update it."""
        return self.release.is_file() and self.outcomes.is_dir()

    def check(self) -> None:
        """Raises `CommandError` update.unsupported where there is no image.

        And update.no_trials where it has noted that this board can't be asked for a trial.
        """
        if not self.is_there:
            raise CommandError(
                "update.unsupported",
                "This box does not run the Poleside image: it has no second system to update.",
                hint="Update it with the packages of its own system, or flash the image.",
            )
        if (self.notes / NO_TRIALS).exists():
            raise CommandError(
                "update.no_trials",
                "This board can't be asked for a trial boot: an update would have no way back.",
                hint="Flash the new version, or an image with a kernel module that asks it.",
            )

    @property
    def version(self) -> str:
        """The version that runs, "" when it is not known."""
        return _read(self.release, _Release).version

    def ask(self, plan_id: str, bundle_name: str, *, restart: bool) -> None:
        """Leave the plan; the image takes it away when it has judged it. Raises `OSError`."""
        plan = {"update_id": plan_id, "bundle": bundle_name, "restart": restart}
        write_whole(self.folder / PLAN, msgspec.json.encode(plan))

    def is_asked(self) -> bool:
        """Say whether the plan still lies there: the image takes it away once it is done."""
        return (self.folder / PLAN).exists()

    def hold(self, why: str) -> None:
        """Have no update installed as long as there is a reason; "" lets go. Raises `OSError`."""
        path = self.folder / HOLD
        if why:
            write_whole(path, msgspec.json.encode({"why": why}))
        else:
            path.unlink(missing_ok=True)

    def outcome(self) -> Outcome:
        """Return what came of the last plan."""
        return _read(self.outcomes / "update.json", Outcome)

    def verdict(self) -> Verdict:
        """Return what the last trial found."""
        return _read(self.outcomes / "trial.json", Verdict)

    def kept_slot(self) -> str:
        """Return the slot that runs, "" while it is on trial and where nobody tells."""
        try:
            slot = (self.notes / "slot").read_text("ascii").strip()
        except (OSError, ValueError):
            return ""
        return "" if (self.notes / "trial").exists() else slot

    def has_kept(self, version: str | None, judged: str, slot: str) -> bool:
        """Say whether `version` runs for good: the gate said so in another boot than `judged`.

        Where its word is lost (the power went over it) another slot than `slot` tells the same.
        """
        if self.version != version:
            return False
        verdict, kept_slot = self.verdict(), self.kept_slot()
        said = verdict.kept and verdict.is_of(version, judged)
        return said or ("" not in (slot, kept_slot) and slot != kept_slot)


def _read(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return kind()
