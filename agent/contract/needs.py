"""Which orders need a grant, and for what: one place for boxes and centers.

What stops a camera, lets one go or makes an output safe never needs any.
"""

from dataclasses import dataclass
from datetime import datetime

from agent.contract.commands import Args, Clip, Output, Relay, Search, Snapshot
from agent.contract.grants import What
from agent.contract.ptz_args import (
    CameraAim,
    PtzAux,
    PtzGoto,
    PtzImaging,
    PtzLease,
    PtzMove,
    PtzPresets,
)
from agent.contract.scene_args import Playback, SignText, Talk

_PAST: dict[type, What] = {Clip: What.CLIP, Playback: What.PLAYBACK, Search: What.SEARCH}

_NOW: dict[type, What] = {Snapshot: What.SNAPSHOT, Relay: What.TALK, Talk: What.TALK}


@dataclass(frozen=True, slots=True)
class Need:
    """`camera_id` empty: the box as a whole. The span is the recorded time that would be seen."""

    what: What
    camera_id: str = ""
    start_at: datetime | None = None
    end_at: datetime | None = None


def need_of(args: Args) -> Need | None:
    """Return what a grant must allow before this may be done; None: it needs no grant."""
    match args:
        case Clip() | Playback() | Search():
            return Need(_PAST[type(args)], args.camera_id, args.start_at, args.end_at)
        case PtzPresets(action="list") | SignText(text=""):
            return None
        case Snapshot() | Relay(on=True) | Talk():
            return Need(_NOW[type(args)], args.camera_id)
        case (
            PtzMove()
            | PtzLease()
            | PtzGoto()
            | PtzPresets()
            | PtzImaging()
            | PtzAux()
            | CameraAim()
        ):
            return Need(What.PTZ, args.camera_id)
        case Output(on=True) | SignText():
            return Need(What.TALK)
        case _:
            return None
