"""The bundles in the agent's folder: the one under way, and the one whose system runs."""

from pathlib import Path

from agent.contract.updates import UpdateStage
from agent.updates.job import Job

KEPT = "kept.raucb"
GOES_ON = (UpdateStage.FETCHING, UpdateStage.READY, UpdateStage.FAILED)  # with the same bundle


def part_of(folder: Path, job: Job) -> Path:
    """Return where the job's bundle grows."""
    return folder / f"{job.bundle_name}.part"


def take_up(folder: Path, job: Job) -> Path:
    """Return `part_of`; a whole bundle whose installation failed is gone on with: it is proven.

    Raises `OSError`.
    """
    part, whole = part_of(folder, job), folder / job.bundle_name
    if whole.is_file() and not part.exists():
        whole.replace(part)
    return part


def keep(folder: Path, job: Job) -> None:
    """Keep the bundle whose system runs: the next one is mostly made of it. Raises `OSError`."""
    bundle = folder / job.bundle_name
    if bundle.is_file():
        bundle.replace(folder / KEPT)


def sweep(folder: Path, job: Job | None) -> None:
    """Remove what nobody wants any more; one that failed may be ordered again."""
    is_wanted = job is not None and (job.stage in GOES_ON or not job.stage.is_final)
    needed = {job.bundle_name, part_of(folder, job).name} if job and is_wanted else set()
    for path in folder.glob("*.raucb*"):
        if path.name not in needed and path.name != KEPT:
            path.unlink(missing_ok=True)
