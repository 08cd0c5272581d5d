"""The camera zoo: every fault is named in the gap, heals by itself, and costs no other camera."""

import contextlib
import sys
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from agent.simulators.camera.faults import Faults
from agent.simulators.camera.media import load_media
from tests.camera_zoo import (
    CLOCK,
    CameraLoop,
    Visitor,
    ZooCamera,
    black_hole,
    eventually,
    pause,
    visits,
)
from tests.footage_maker import make_clip

FPS = 10
WELL = Faults()
RECOVERY_S = 3.0  # after the camera is well again
SILENT = {"timeout"}
CUT = {"camera-closed", "lost", "unreachable"}
JUMPED = {"timestamp-jump"}
CRAWLS = {"frozen"}
OTHER_VIDEO = {"codec_changed"}
NONE: set[str] = set()
SPOILT = CUT | SILENT | JUMPED | CRAWLS | OTHER_VIDEO | {"garbled", "no_key_frame", ""}


@dataclass(frozen=True)
class Fault:
    """What goes wrong, for how long, and what the first gap may be put down to.

    `causes` empty: the recording must not break. With "" among them it may, but need not.
    """

    name: str
    causes: set[str]
    switches: dict = field(default_factory=dict)
    lasts_s: float = 4.0
    drops: bool = False  # the line is cut as well, so that the fault meets a new connection
    view: str = "h264"
    turns_to: str = ""  # the view on air during the fault and after it


FAULTS = [
    Fault("silent TCP", SILENT, {"stall": True}),
    Fault("RTCP goes on, video stops", SILENT, {"rtcp_only": True}),
    Fault("silent for less than the limit", NONE, {"stall": True}, lasts_s=1.2),
    Fault("one picture in seven seconds", SILENT, {"every": 70}, lasts_s=8.0),
    Fault("one picture a second", CRAWLS, {"every": 10}, lasts_s=8.0),
    Fault("time stamps stand still", CRAWLS, {"pace": 0.0}, lasts_s=6.0),
    Fault("time stamps crawl", CRAWLS, {"pace": 0.1}, lasts_s=6.0),
    Fault("time stamps a little slow", NONE, {"pace": 0.9}),
    Fault("time stamps jump an hour on", JUMPED, {"jump_s": 3600.0}),
    Fault("time stamps jump an hour back", JUMPED, {"jump_s": -3600.0}),
    Fault("time stamps jump five seconds on", JUMPED, {"jump_s": 5.0}),
    Fault("time stamps jump five seconds back", JUMPED, {"jump_s": -5.0}),
    Fault("time stamps wrap around", JUMPED | {""}, {"jump_s": 47_000.0}),
    Fault("connection dropped", CUT, drops=True, lasts_s=0.5),
    Fault("connection reset", CUT, {"reset": True}, lasts_s=0.5),
    Fault("port closed", CUT, {"refuse": True}, drops=True),
    Fault("black hole", CUT, {"refuse": True}, drops=True),
    Fault("OPTIONS never answered", CUT, {"hang": "OPTIONS"}, drops=True),
    Fault("DESCRIBE never answered", CUT, {"hang": "DESCRIBE"}, drops=True),
    Fault("SETUP never answered", CUT, {"hang": "SETUP"}, drops=True),
    Fault("PLAY never answered", CUT, {"hang": "PLAY"}, drops=True),
    Fault("plays but sends nothing", CUT, {"rtcp_only": True}, drops=True),
    Fault("answers stop after a byte", CUT, {"drip": True}, drops=True),
    Fault("service unavailable", CUT, {"status": 503}, drops=True),
    Fault("server error on SETUP", CUT, {"status": 500, "status_of": "SETUP"}, drops=True),
    Fault("no more sessions", CUT, {"status": 453, "status_of": "SETUP"}, drops=True),
    Fault("session not found on PLAY", CUT, {"status": 454, "status_of": "PLAY"}, drops=True),
    Fault("stream not found", CUT, {"status": 404}, drops=True),
    Fault("login refused while it starts", CUT, {"status": 401}, drops=True, lasts_s=1.0),
    Fault("H.264 turns to H.265", OTHER_VIDEO | SILENT, turns_to="hevc"),
    Fault("H.265 turns to H.264", OTHER_VIDEO | SILENT, view="hevc", turns_to="h264"),
    Fault("the size changes", OTHER_VIDEO, turns_to="small"),
    Fault("the size changes in H.265", OTHER_VIDEO, view="hevc", turns_to="hevc-small"),
    Fault("no parameter sets in the SDP", CUT, {"no_sets_in_sdp": True}, drops=True),
    Fault("no parameter sets in the video", NONE, {"no_sets_in_video": True}),
    Fault("no parameter sets in the SDP, H.265", CUT, {"no_sets_in_sdp": True}, drops=True,
          view="hevc"),
    Fault("B-frames", NONE, view="b-frames"),
    Fault("B-frames and a lost connection", CUT, drops=True, lasts_s=0.5, view="b-frames"),
    Fault("B-frames and a jump of an hour", JUMPED, {"jump_s": 3600.0}, view="b-frames"),
    Fault("GOP of 10 s", NONE, view="long-gop"),
    Fault("no marker bits", NONE, {"no_marker": True}),
    Fault("another payload type", SILENT | {"unreachable"}, {"wrong_payload_type": True}),
    Fault("another SSRC", {""} | SILENT, {"new_ssrc": True}),
    Fault("sequence numbers jump", NONE | {""} | JUMPED, {"seq_jump": 30_000}),
    Fault("5 % of packets lost", SPOILT, {"loss": 0.05}),
    Fault("half of all packets lost", SPOILT, {"loss": 0.5}),
    Fault("packets sent twice", SPOILT, {"twice": 0.3}),
    Fault("packets swapped", SPOILT, {"swapped": 0.3}),
    Fault("broken payload", SPOILT, {"bad_payload": 0.3}),
    Fault("broken NAL unit headers", SPOILT, {"bad_nal_header": 0.3}),
    Fault("broken NAL unit headers in H.265", SPOILT, {"bad_nal_header": 0.3}, view="hevc"),
    Fault("broken RTP headers", SPOILT, {"bad_rtp_header": 0.3}),
    Fault("broken framing", SPOILT, {"bad_frame_header": 0.1}),
    Fault("packets cut short", SPOILT, {"cut_short": 0.1}),
    Fault("broken answers", CUT, {"mangle_answers": 0.05}, drops=True),
    Fault("a header of 4 MB", CUT, {"hostile": "long_line"}, drops=True),
    Fault("100,000 headers", CUT, {"hostile": "many_headers"}, drops=True),
    Fault("a description of 4 MB", CUT, {"hostile": "long_sdp"}, drops=True),
    Fault("a description of 20,000 tracks", CUT, {"hostile": "many_tracks"}, drops=True),
    Fault("a description said to be 2 GB", CUT, {"hostile": "huge_length"}, drops=True),
]  # fmt: skip


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo-clips")

    def clip(name, **how):
        how = {"fps": FPS, "seconds": 2, "size_px": (160, 120)} | how
        return load_media(make_clip(folder / f"{name}.mp4", **how))

    return {
        "h264": clip("h264"),
        "hevc": clip("hevc", codec="libx265"),
        "small": clip("small", size_px=(96, 64)),
        "hevc-small": clip("hevc-small", codec="libx265", size_px=(128, 96)),
        "b-frames": clip("b-frames", bframes=2),
        "long-gop": clip("long-gop", seconds=10, gop_s=10),
    }


def set_fault(camera, fault):
    for name, value in fault.switches.items():
        setattr(camera.faults, name, value)
    if fault.drops:
        camera.faults.disconnect = True
    camera.view = fault.turns_to or camera.view


def heal(camera):
    for name in WELL.__struct_fields__:
        setattr(camera.faults, name, getattr(WELL, name))


def act(patients):
    """Let every fault come at once and go at its time; return when each camera was well again."""
    began_s = CLOCK.monotonic_s()
    well_s = {}
    with contextlib.ExitStack() as holes:
        for visitor, fault in patients:
            set_fault(visitor.camera, fault)
        pause(0.6)  # the servers have seen what they must do themselves
        hole = holes.enter_context(contextlib.ExitStack())
        for visitor, fault in patients:
            if fault.name == "black hole":
                hole.enter_context(black_hole(visitor.camera.server.port))
        for visitor, fault in sorted(patients, key=lambda patient: patient[1].lasts_s):
            pause(began_s + fault.lasts_s - CLOCK.monotonic_s())
            if fault.name == "black hole":
                hole.close()
            heal(visitor.camera)
            well_s[fault.name] = CLOCK.monotonic_s()
    return well_s


def test_every_fault_is_named_and_heals_and_costs_no_other_camera(media, tmp_path, capsys):
    patients = [
        (Visitor(ZooCamera(views_of(fault, media)), tmp_path / f"{number:02d}"), fault)
        for number, fault in enumerate(FAULTS)
    ]
    healthy = [Visitor(ZooCamera({"": media["h264"]}), tmp_path / f"well-{n}") for n in range(8)]
    everyone = [visitor for visitor, _ in patients] + healthy
    with CameraLoop([visitor.camera for visitor in everyone]), visits(everyone):
        began_s = CLOCK.monotonic_s()
        for visitor in everyone:
            eventually(lambda v=visitor: v.frames_since(began_s, 12), lambda: "no first run")
        well_s = act(patients)
        for visitor, fault in patients:
            eventually(
                lambda v=visitor, f=fault: v.frames_since(well_s[f.name], 12),
                lambda v=visitor, f=fault: f"{f.name}: {v.session.status}",
            )
    hiccup_s = max(longest_silence_s(visitor) for visitor in healthy)
    rows = [row_of(visitor, fault, well_s[fault.name]) for visitor, fault in patients]
    with capsys.disabled():
        print_table(rows, hiccup_s)

    for visitor in healthy:
        (run,) = visitor.runs
        assert len(run.steps) == 1
        assert run.cause == "stopped"
    wrong = [row for row in rows if not is_right(row, RECOVERY_S + hiccup_s)]
    assert wrong == []
    for visitor in everyone:
        assert_all_opens(visitor)
        visitor.tape.index.close()


def views_of(fault, media):
    return {name: media[name] for name in dict.fromkeys([fault.view, fault.turns_to]) if name}


def longest_silence_s(visitor):
    """How late this machine was: nothing else keeps a well camera's frames apart."""
    arrivals = visitor.runs[0].arrivals
    return max(after - before for before, after in pairwise(arrivals))


def row_of(visitor, fault, well_mono_s):
    *gaps, stopped = visitor.gaps()
    assert stopped["cause"] == "stopped"
    return (
        fault,
        [gap["cause"] for gap in gaps],
        all(gap["to_utc_us"] is not None for gap in gaps),
        round(visitor.recovery_s(well_mono_s), 2),
    )


def is_right(row, limit_s):
    fault, causes, all_closed, recovery_s = row
    if fault.causes == NONE:
        named = causes == []
    else:
        named = ("" in fault.causes and not causes) or bool(causes and causes[0] in fault.causes)
    return named and all_closed and recovery_s <= limit_s


def print_table(rows, hiccup_s):
    say = sys.stdout.write
    say(f"\n{'fault':40} {'gaps':44} recovery s (machine late by {hiccup_s:.2f})\n")
    for fault, causes, _, recovery_s in rows:
        say(f"{fault.name:40} {', '.join(causes)[:44]:44} {recovery_s:.2f}\n")


def assert_all_opens(visitor):
    """Every file on the disk is known, opens, and holds the frames the index says."""
    fed = sum(len(run.times) for run in visitor.runs)
    assert sum(segment["frames"] for segment in visitor.tape.segments()) == fed
