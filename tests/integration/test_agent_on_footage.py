"""The whole agent on real footage with known truth: who comes raises an event, nobody else does.

Four simulated cameras play the clips in a loop to one agent; what it raises is set against what
the same rules make of the clips' ground truth. The rules run in their shadow time: there each
one's hits are kept as they are, which elsewhere are merged into few incidents. Run with `-s` to
see the figures.
"""

import json
import os
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from agent.contract.events import Region
from agent.core.sqlite import open_reader
from agent.messages.vision import HitState, TrackedObject
from agent.rules.intrusion import Intrusion
from agent.settings.rules import IntrusionRule
from agent.simulators.broker import free_port
from tests.box_process import HOST, BoxProcess, CameraProcess, camera_in

pytestmark = [
    pytest.mark.footage,
    pytest.mark.skipif(
        "POLESIDE_FOOTAGE" not in os.environ, reason="POLESIDE_FOOTAGE names no footage folder"
    ),
]

WATCH_S = 75.0  # the longest clip once
TRUTH_FPS = 10
LATE_S = 2.0
SEAM_S = 3.0  # the box comes a moment late; then everybody jumps to where the clip begins
WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
WALK_ZONES = {
    "crossing": ((0.65, 0.48), (0.82, 0.48), (0.84, 0.82), (0.63, 0.82)),
    "left": (
        (0.0, 0.25),
        (0.4, 0.25),
        (0.4, 1.0),
        (0.0, 1.0),
    ),  # above, the truth leaves people out
    "right": ((0.85, 0.0), (1.0, 0.0), (1.0, 1.0), (0.85, 1.0)),
    "lower-edge": ((0.2, 0.7), (0.8, 0.7), (0.8, 1.0), (0.2, 1.0)),  # nobody ever walks here
}

People = list[list[TrackedObject]]
"""Who is there at each tenth of a second of a clip."""


@dataclass
class Clip:
    """A clip as a camera: files, who is in it, and the zones to watch."""

    camera_id: str
    main: Path
    sub: Path
    people: People
    zones: dict[str, tuple]

    @property
    def seconds(self) -> float:
        return len(self.people) / TRUTH_FPS


@dataclass
class Score:
    """What one rule raised, in seconds of the clip's timeline since its camera came."""

    delays_s: list[float] = field(default_factory=list)
    told_before: int = 0  # an event that began earlier still lasted
    missed: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)  # somebody is there and was told before
    false: list[float] = field(default_factory=list)


@pytest.fixture(scope="module")
def folder():
    named = Path(os.environ["POLESIDE_FOOTAGE"])
    return named / "dev" if (named / "dev").is_dir() else named


@pytest.fixture(scope="module")
def clips(folder):
    expected = json.loads((folder / "expected_events.json").read_text())
    walkers = people_of(folder / "walk_a_gt.txt", 400)
    zone = tuple((x / 768, y / 576) for x, y in expected["walk_a"]["zone"])
    counter = present(expected["counter_a"]["presence_s"], 72)
    night, cars = folder / "night_576p10_h264.mp4", folder / "cars_a_720p12_h264.mp4"
    at_counter = folder / "counter_a_720p10_h264.mp4"
    return [
        Clip(
            "walk",
            folder / "walk_a_1080p25_h264.mp4",
            folder / "walk_a_sub_480p10_h264.mp4",
            walkers,
            {"zone": zone, **WALK_ZONES},
        ),
        Clip("counter", at_counter, at_counter, counter, {"whole": WHOLE}),
        Clip("cars", cars, cars, [[] for _ in range(128)], {"whole": WHOLE}),
        Clip("night", night, night, walkers[:390], {"zone": zone, **WALK_ZONES}),
    ]


@pytest.fixture(scope="module")
def scores(clips, tmp_path_factory):
    """Let the agent watch all clips at once; return camera, rule: score."""
    folder = tmp_path_factory.mktemp("footage")
    cameras = [CameraProcess(folder, clip.camera_id, clip.main, clip.sub) for clip in clips]
    told = [
        camera.settings(
            clip.camera_id,
            rules=[rule_of(name, zone) for name, zone in clip.zones.items()],
        )
        for camera, clip in zip(cameras, clips, strict=True)
    ]
    settings = {"broker": {"urls": [f"mqtt://{HOST}:{free_port()}"]}, "cameras": told}
    with BoxProcess(folder, settings) as box:
        box.until(lambda state: all(p["state"] == "running" for p in state["processes"]))
        try:
            for camera in cameras:
                camera.start()
            time.sleep(WATCH_S)
            state = box.state()
        finally:
            for camera in cameras:
                camera.stop()
    assert all(camera_in(state, clip.camera_id)["detector"] == "ready" for clip in clips)
    return {
        (clip.camera_id, rule_id): judge(clip, rule_id, zone, camera, box.data_dir)
        for clip, camera in zip(clips, cameras, strict=True)
        for rule_id, zone in clip.zones.items()
    }


def test_the_right_persons_raise_events_and_nobody_else(scores, capsys):
    with capsys.disabled():
        sys.stdout.write(table_of(scores))
    assert {name: score.false for name, score in scores.items() if score.false} == {}
    sure = {("walk", "zone"), ("counter", "whole")}
    assert {name: scores[name].missed for name in sure if scores[name].missed} == {}
    told = sum(len(score.delays_s) + score.told_before for score in scores.values())
    missed = sum(len(score.missed) for score in scores.values())
    assert told >= 5 * missed


@pytest.mark.parametrize("name", [("cars", "whole"), ("walk", "lower-edge")], ids=str)
def test_where_nobody_is_nothing_is_raised(scores, name):
    assert scores[name] == Score()


def test_each_person_at_the_counter_is_told(scores):
    assert len(scores["counter", "whole"].delays_s) == 3


def table_of(scores: dict[tuple[str, str], Score]) -> str:
    """Return the figures as lines; delays are against a rule that is told the truth."""
    lines = [
        "",
        "camera  rule        expected  raised  before  missed  again  false  delay p50, worst",
    ]
    for (camera_id, rule_id), score in scores.items():
        delays_s = score.delays_s
        late = f"{np.median(delays_s):+.2f} {max(delays_s, key=abs):+.2f}" if delays_s else ""
        expected = len(delays_s) + score.told_before + len(score.missed)
        counts = [expected, len(delays_s), score.told_before]
        counts += [len(score.missed), len(score.again), len(score.false)]
        lines.append(f"{camera_id:8}{rule_id:10}" + "".join(f"{n:8}" for n in counts) + f"  {late}")
    return "\n".join(lines) + "\n"


# Truth


def people_of(path: Path, frames: int) -> People:
    """Read MOT ground truth of the 768x576 picture at 10 frames a second."""
    rows = np.loadtxt(path, delimiter=",", ndmin=2)
    return [
        [
            person(int(row[1]), *np.clip((row[2:6] / (768, 576, 768, 576)), 0, 1))
            for row in rows[rows[:, 0] == number + 1]
        ]
        for number in range(frames)
    ]


def present(spans: list[list[float]], seconds: int) -> People:
    """Return one person in the middle of the picture in each span."""
    return [
        [
            person(number, 0.4, 0.4, 0.2, 0.2)
            for number, (since_s, until_s) in enumerate(spans)
            if since_s <= tick / TRUTH_FPS <= until_s
        ]
        for tick in range(seconds * TRUTH_FPS)
    ]


def person(track_id: int, x: float, y: float, width: float, height: float) -> TrackedObject:
    region = Region(x=x, y=y, width=min(width, 1 - x), height=min(height, 1 - y))
    return TrackedObject(track_id=track_id, label="person", score=1.0, region=region)


def rule_of(rule_id: str, zone: tuple) -> dict:
    return {
        "kind": "intrusion",
        "rule_id": rule_id,
        "zone": zone,
        "dwell_s": 0.5,
        "clear_s": 1.0,
        "shadow_days": 1.0,
    }


def spans_of(clip: Clip, zone: tuple, until_s: float) -> list[tuple[float, float]]:
    """Return when a rule that is told the truth is true, the clip in a loop."""
    rule = Intrusion(IntrusionRule(rule_id="truth", zone=zone, dwell_s=0.5, clear_s=1.0))
    spans: list[tuple[float, float]] = []
    for tick in range(int(until_s * TRUTH_FPS)):
        turn, number = divmod(tick, len(clip.people))
        tracks = [
            TrackedObject(one.track_id + 1000 * turn, one.label, one.score, one.region)
            for one in clip.people[number]
        ]
        for change in rule.update(tracks, tick / TRUTH_FPS):
            if change.state is HitState.BEGAN:
                spans.append((tick / TRUTH_FPS, until_s))
            elif change.state is HitState.ENDED:
                spans[-1] = (spans[-1][0], tick / TRUTH_FPS)
    return spans


# What was raised


def judge(clip: Clip, rule_id: str, zone: tuple, camera: CameraProcess, data_dir: Path) -> Score:
    """Match what a rule raised with the truth, both counted from the camera's first picture."""
    began = loop_start(camera)
    with closing(open_reader(data_dir / "box.db")) as connection:
        rows = connection.execute(
            "SELECT began_utc_us, ended_utc_us FROM shadow_alarms WHERE member = ? ORDER BY 1",
            (f"{clip.camera_id}/{rule_id}",),
        ).fetchall()
    raised = [
        tuple(WATCH_S if at_us is None else at_us / 1e6 - began.timestamp() for at_us in row)
        for row in rows
    ]
    spans, score = spans_of(clip, zone, WATCH_S), Score()
    told: set[float] = set()
    for since_s in (since_s for since_s, _ in spans if is_judged(clip, since_s)):
        near = [at_s for at_s, _ in raised if abs(at_s - since_s) <= LATE_S and at_s not in told]
        if near:
            at_s = min(near, key=lambda at_s: abs(at_s - since_s))
            told.add(at_s)
            score.delays_s.append(round(at_s - since_s, 2))
        elif any(at_s <= since_s < until_s for at_s, until_s in raised):
            score.told_before += 1
        else:
            score.missed.append(since_s)
    for at_s in (at_s for at_s, _ in raised if at_s not in told):
        is_there = any(since_s - 1 <= at_s <= until_s + 1 for since_s, until_s in spans)
        (score.again if is_there else score.false).append(round(at_s, 2))
    return score


def is_judged(clip: Clip, at_s: float) -> bool:
    """Return whether a beginning counts: not where the clip begins anew, nor at the very end."""
    return at_s % clip.seconds >= SEAM_S and at_s <= WATCH_S - LATE_S - 1


def loop_start(camera: CameraProcess) -> datetime:
    """Return when the sub stream's first loop began, as the camera noted it."""
    for line in camera.said().splitlines():
        note = json.loads(line)
        if note.get("event") == "loop starts" and note.get("stream") == "sub":
            return datetime.fromisoformat(note["at"])
    raise AssertionError("the camera noted no start")
