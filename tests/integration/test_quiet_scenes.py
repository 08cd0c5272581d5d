"""Synthetic weather in which nothing happens raises nothing; water that rises is told.

Drawn, not real: it shows that the rules stay silent, not how well anything is found. The short
form is one minute of each scene, the long one (`make faults`) half an hour.
"""

import numpy as np
import pytest

from agent.detect.detector import open_detector
from agent.messages.vision import HitState
from agent.rules.rule import Place, build
from agent.rules.scene import Scene
from agent.settings import rules as told
from agent.simulators.drawn_scene import ROAD_ZONE
from agent.simulators.drawn_weather import SCENES, STAFF, frames, streets_with_staff
from tests.watched_film import watch

VEHICLES_TOO = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
EVERY_RULE = (
    told.IntrusionRule(rule_id="intrusion", zone=ROAD_ZONE, dwell_s=0.6, labels=VEHICLES_TOO),
    told.LoiteringRule(rule_id="loitering", zone=ROAD_ZONE, dwell_s=10.0),
    told.LineCrossingRule(rule_id="line", line=((0.25, 0.8), (0.75, 0.8)), labels=VEHICLES_TOO),
    told.AbandonedObjectRule(rule_id="abandoned", zone=ROAD_ZONE),
    told.RemovedObjectRule(rule_id="removed", zone=ROAD_ZONE, enabled=True),
    told.CrowdRule(rule_id="crowd", zone=ROAD_ZONE, area_m2=60.0),
    told.WrongWayRule(rule_id="way", zone=ROAD_ZONE, way=(1, 0), labels=VEHICLES_TOO),
    told.StoppedVehicleRule(rule_id="halt", zone=ROAD_ZONE, still_s=20.0),
    told.TamperRule(rule_id="tamper"),
    told.FloodRule(rule_id="flood", gauge=STAFF, enabled=True),
    told.PersonDownRule(rule_id="down", zone=ROAD_ZONE, enabled=True),
)


@pytest.fixture(scope="module")
def detector():
    return open_detector()


def raised(name, seconds, detector, folder, fps):
    film = frames(name, 640, 360, fps, seconds)
    hits, findings, eyes = watch(film, EVERY_RULE, detector, folder, fps=fps)
    assert eyes.status.frames_total == seconds * fps
    said = [(hit.rule_id, hit.state.value, hit.mono_s, hit.objects) for hit in hits]
    return said + [(finding.kind.value, finding.detail) for finding in findings]


@pytest.mark.parametrize("name", SCENES)
def test_a_minute_of_it_raises_nothing(name, detector, tmp_path):
    assert raised(name, 60, detector, tmp_path, fps=2.5) == []


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", SCENES)
def test_half_an_hour_of_it_raises_nothing(name, detector, tmp_path):
    assert raised(name, 1800, detector, tmp_path, fps=5.0) == []


# Rising water


def river(share_at, seconds, fps=2.0):
    """Yield luma pictures of the wall with water in front of its gauge, up to `share_at(s)`."""
    walls = [street[::2, ::2, 1] for street in streets_with_staff(640, 360)]
    random = np.random.default_rng(8)
    for number in range(int(seconds * fps)):
        at_s = number / fps
        luma = walls[number % len(walls)].copy()
        (_, foot), (_, top) = STAFF
        surface = round((foot + share_at(at_s) * (top - foot)) * luma.shape[0])
        ground = round(foot * luma.shape[0])
        if surface < ground:
            rows = np.arange(ground - surface)[:, None]
            ripple = 12 * np.sin(0.9 * rows - 3 * at_s + np.arange(luma.shape[1])[None] / 9)
            water = 75 + ripple + random.normal(0, 4, ripple.shape)
            luma[surface:ground] = water.clip(0, 255).astype(np.uint8)
        yield at_s, luma


def flood_told(share_at, seconds, folder=None):
    settings = told.FloodRule(
        rule_id="river", gauge=STAFF, enabled=True, marks=(0.25, 0.45, 0.65, 0.85), length_m=2.0
    )
    [rule] = build([settings], Place(folder=folder))
    found = []
    for at_s, luma in river(share_at, seconds):
        found += [(at_s, change) for change in rule.see(Scene(luma), 10.0 + at_s)]
    return found


def rising(at_s):
    return min(max((at_s - 30) / 100, 0.0), 0.95)  # two centimetres a second on two metres


def test_each_level_of_rising_water_is_told_within_ten_seconds_with_its_rate():
    found = flood_told(rising, 140)
    first_at = {}
    for at_s, change in found:
        first_at.setdefault(change.measures.get("level"), at_s)
    assert found[0][1].state is HitState.BEGAN
    for level, mark in ((1, 0.25), (2, 0.45), (3, 0.65), (4, 0.85)):
        crossed_s = 30 + 100 * mark
        assert crossed_s - 5 <= first_at[level] <= crossed_s + 10
    rates = [change.measures["rise_cm_per_min"] for _, change in found[-4:]]
    assert all(80 < rate < 140 for rate in rates)


def test_water_that_goes_down_again_ends_it_and_waves_do_not_flutter():
    def tide(at_s):
        level = 0.35 if 30 <= at_s < 120 else 0.0
        return level + (0.015 * np.sin(at_s) if level else 0.0)

    states = [change.state for _, change in flood_told(tide, 260)]
    assert states[0] is HitState.BEGAN
    assert states[-1] is HitState.ENDED
    assert states.count(HitState.BEGAN) == 1


def test_a_box_that_starts_in_a_flood_knows_what_dry_looks_like(tmp_path):
    assert flood_told(lambda _: 0.0, 30, tmp_path) == []
    (_, began), *_ = flood_told(lambda _: 0.5, 60, tmp_path)
    assert began.measures["level"] >= 1
