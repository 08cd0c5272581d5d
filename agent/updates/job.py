"""The one update a box is about: kept in a small file, so that it goes on after any restart."""

from pathlib import Path

import msgspec
from msgspec import Struct

from agent.contract.updates import Update, UpdateInfo, UpdateStage
from agent.core.errors import StorageError
from agent.core.whole_file import write_whole

JOB_FILE, LOCAL_ORDER = "job.json", "order.json"
_STEPS = 10


class Job(Struct, kw_only=True):
    """What was ordered and how far it is. `order` is the last order's id, `by` whose it was.

    `try_` counts plans (each has a name of its own for its outcome); `boot` is that in which it was
    asked for, `judged` that of the last verdict before, `slot` what ran then; `failed` counts
    installations that broke off; `spent_bytes` counts on `day`. `local`: the bundle lies here
    already, from a stick.
    """

    id: str
    by: str
    order: Update
    stage: UpdateStage
    code: str = ""
    why: str = ""
    waits_for: str = ""
    try_: int = 0
    boot: str = ""
    judged: str = ""
    slot: str = ""
    failed: int = 0
    day: str = ""
    spent_bytes: int = 0
    received_bytes: int = 0
    have_bytes: int = 0
    damaged: int = 0
    local: bool = False

    @property
    def bundle_name(self) -> str:
        """The file's name; the same bundle ordered again goes on in the same file."""
        return f"{self.order.version}-{self.order.sha256[:16]}.raucb"

    @property
    def plan_id(self) -> str:
        """The name of the present plan, and of its outcome."""
        return f"{self.id}.{self.try_}"

    @property
    def was_asked(self) -> bool:
        """Whether the image was asked for it and there is no end yet."""
        under_way = (UpdateStage.READY, UpdateStage.ASKED, UpdateStage.INSTALLED)
        return self.try_ > 0 and self.stage in under_way

    def told(self) -> UpdateInfo:
        """Return what the center is told; progress in tenths, or it would be told all the time."""
        size_bytes = self.order.size_bytes
        step = max(1, size_bytes // _STEPS)
        return UpdateInfo(
            id=self.id,
            version=self.order.version or "",
            stage=self.stage,
            code=self.code,
            why=self.why,
            waits_for=self.waits_for,
            have_bytes=self.have_bytes // step * step,
            size_bytes=size_bytes,
            received_bytes=0 if self.stage is UpdateStage.FETCHING else self.received_bytes,
        )


class LocalOrder(Struct, frozen=True, kw_only=True):
    """What `poleside update` leaves in the folder: an order given at the box."""

    id: str
    by: str
    order: Update


def load(folder: Path) -> Job | None:
    """Return the job, None when there is none. What can't be understood is no job any more.

    This and `save` raise `StorageError`.
    """
    try:
        return msgspec.json.decode((folder / JOB_FILE).read_bytes(), type=Job)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    except OSError as error:
        raise StorageError("update.storage", f"{folder} can't be read: {error}.") from error


def save(folder: Path, job: Job) -> None:
    """Keep the job; on the disk when this returns. The address in it is a secret."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(folder / JOB_FILE, msgspec.json.encode(job), mode=0o600)
    except OSError as error:
        raise StorageError(
            "update.storage",
            f"The order can't be written: {error.strerror}.",
            hint="Free or repair the data disk, then order it again.",
            retryable=True,
        ) from error
