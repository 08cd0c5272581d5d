"""Updates of the box's image: the center's order, and how the box tells what became of it.

The bundle lies in the center's file store; the order names it by a presigned address, its size and
SHA-256. RAUC's signature, made with the city's update key, decides what is installed: the order
alone installs nothing. What came of it is in the birth document (`Info.update`) and the audit.
"""

from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Struct

from agent.contract.command_args import CommandArgs

UPDATE = "update"
UPDATE_OPERATIONS = (UPDATE,)

UpdateVersion = Annotated[str, Meta(pattern=r"^\d{1,5}\.\d{1,5}\.\d{1,5}$")]


class UpdateStage(StrEnum):
    """How far an update is; the last five are its end."""

    FETCHING = "fetching"
    READY = "ready"  # fetched; waits until the box may restart
    ASKED = "asked"  # the image checks and installs it
    INSTALLED = "installed"  # in the idle slot; the next start tries it
    COMMITTED = "committed"
    ROLLED_BACK = "rolled-back"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more comes of it."""
        return self in _FINAL


_FINAL = frozenset(
    {
        UpdateStage.COMMITTED,
        UpdateStage.ROLLED_BACK,
        UpdateStage.REFUSED,
        UpdateStage.FAILED,
        UpdateStage.CANCELLED,
    }
)


class Update(CommandArgs, frozen=True, kw_only=True, forbid_unknown_fields=True, tag=UPDATE):
    """Fetch and install a bundle (`action` install), give that up (cancel), or tell (status).

    `blocks_url` is the bundle's list of blocks, with which only changed ones are fetched.
    `daily_bytes` is what a day may cost of the line; without it, the box's `uploads.daily_bytes`.
    `restart` False: the new version is tried at the next start, whenever that is. The same bundle
    ordered again with a fresh address goes on where it was.
    """

    action: Literal["install", "cancel", "status"]
    version: UpdateVersion | None = None
    url: Annotated[str, Meta(max_length=4096)] = ""
    blocks_url: Annotated[str, Meta(max_length=4096)] = ""
    sha256: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$")] = ""
    size_bytes: Annotated[int, Meta(ge=0, le=4 * 1024**3)] = 0
    daily_bytes: Annotated[int, Meta(ge=1024 * 1024)] | None = None
    restart: bool = True

    def __post_init__(self) -> None:
        told = self.version and self.url and self.sha256 and self.size_bytes
        if self.action == "install" and not told:
            raise ValueError("to install, give `version`, `url`, `sha256` and `size_bytes`")


class UpdateInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The last update this box was told of. `id` is that of the order; `why` of its state.

    `waits_for`: "budget", "window", "line", "incident", "board" or "store"; `have_bytes` of
    `size_bytes` are there, in steps of a tenth; `received_bytes` is what they cost the line.
    """

    id: str
    version: str
    stage: UpdateStage
    code: str = ""
    why: str = ""
    waits_for: str = ""
    have_bytes: int = 0
    size_bytes: int = 0
    received_bytes: int = 0
