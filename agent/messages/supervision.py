"""Between the supervisor and its children: one msgpack message a datagram, SEQPACKET pair."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct, msgpack

MAX_MESSAGE_BYTES = 128 * 1024


class ProcessState(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"  # died, will be started again at the end of its back-off
    QUARANTINED = "quarantined"  # died too often; tried again only now and then
    STOPPED = "stopped"
    HANGING = "hanging"  # gave no sign and was killed, but waits in the kernel and can't end


class ProcessReport(Struct, frozen=True, kw_only=True):
    """One row of the process table as it is now. `cpu_s` includes dead predecessors."""

    name: str
    pid: int | None
    state: ProcessState
    since: datetime
    restarts: int = 0
    last_exit: str | None = None
    last_down_s: float | None = None
    past_cpu_s: float = 0.0


class Beat(Struct, frozen=True, kw_only=True, tag="beat"):
    """A child is alive; seconds since each of its components made progress."""

    ages_s: dict[str, float]


class Reload(Struct, frozen=True, kw_only=True, tag="reload"):
    """The desired settings on disk have changed: compare and restart what the change touches."""


class WantSuccessor(Struct, frozen=True, kw_only=True, tag="want-successor"):
    """A child that has to end wants another to stand ready beside it first."""


class KeyFrame(Struct, frozen=True, kw_only=True, tag="key-frame"):
    """A key frame that a successor holds; the supervisor hands it to the one it will follow."""

    digest: bytes
    arrived_mono_s: float


class SuccessorGone(Struct, frozen=True, kw_only=True, tag="successor-gone"):
    """The process that stood ready has died before it could follow."""


class Processes(Struct, frozen=True, kw_only=True, tag="processes"):
    processes: tuple[ProcessReport, ...]


class Configure(Struct, frozen=True, kw_only=True, tag="configure"):
    """The settings a child starts with (msgspec JSON of `Settings`), and the raw file's table.

    `left_out`: the paths of what in the file does not count, since it is not right.
    """

    settings_json: bytes
    table_json: bytes
    left_out: tuple[str, ...] = ()


FromChild = Beat | Reload | WantSuccessor | KeyFrame
ToChild = Processes | Configure | KeyFrame | SuccessorGone

encode = msgpack.Encoder().encode
decode_from_child = msgpack.Decoder(FromChild).decode
decode_to_child = msgpack.Decoder(ToChild).decode
